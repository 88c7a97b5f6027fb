// The script of a definition in CodeMirror: colours, line numbers, mistakes at their lines. The text field stays the
// form's: it holds the same text, and is all there is where CodeMirror is not installed.

const MODES = { python: "python", shell: "shell" };
const PLAIN = "uws-plain-script";
let loading;

/** Load CodeMirror and its modes once; null where it is not installed or not to be had. */
function load(library, modes) {
  loading ??= (async () => {
    if (!library) return null;
    try {
      await import(library);
      await Promise.all(modes.map((mode) => import(mode)));
      return globalThis.CodeMirror ?? null;
    } catch { return null; }
  })();
  return loading;
}

export class ScriptField {
  #area; #mirror = null; #marked = []; #language;

  /** `kept` is what `keep()` gave of the field that was here before. */
  constructor(area, { library, modes, language, changed, kept }) {
    this.#area = area;
    this.#language = language;
    const wanted = () => load(library, modes).then((CodeMirror) => {
      if (CodeMirror && area.isConnected) this.#dress(CodeMirror, changed, kept);
    });
    this.#offerPlain(wanted);
    if (localStorage.getItem(PLAIN) !== "yes") wanted();
  }

  /** A button changes to the plain text field, which every screen reader knows, and back; the browser remembers it. */
  #offerPlain(wanted) {
    const button = document.getElementById("script-plain");
    button.hidden = this.#area.matches(":disabled");
    button.ariaPressed = String(localStorage.getItem(PLAIN) === "yes");
    button.addEventListener("click", () => {
      const plain = button.ariaPressed !== "true";
      button.ariaPressed = String(plain);
      localStorage.setItem(PLAIN, plain ? "yes" : "no");
      if (plain) { this.#mirror?.toTextArea(); this.#mirror = null; } else wanted();
    });
  }

  #dress(CodeMirror, changed, kept) {
    const disabled = this.#area.matches(":disabled");
    const lines = [...document.querySelectorAll("#at-script-lines li")].map((item) => [Number(item.dataset.line), item.textContent.trim()]);
    this.#mirror = CodeMirror.fromTextArea(this.#area, {
      mode: MODES[this.#language] ?? null, lineNumbers: true, matchBrackets: true, indentUnit: 4, viewportMargin: 50,
      readOnly: disabled, screenReaderLabel: "Source of the script", gutters: ["mistakes", "CodeMirror-linenumbers"],
      extraKeys: { Tab: false, "Shift-Tab": false, "Ctrl-]": "indentMore", "Ctrl-[": "indentLess" },
    });
    const input = this.#mirror.getInputField();
    input.id = "at-script-code";
    input.setAttribute("aria-describedby", this.#area.getAttribute("aria-describedby") ?? "");
    if (kept && kept.text === this.#area.value.replaceAll("\r\n", "\n")) {
      this.#mirror.setHistory(kept.history);
      this.#mirror.setCursor(kept.cursor, null, { scroll: false });
      this.#mirror.scrollTo(kept.left, kept.top);
      if (kept.focused) this.#mirror.focus();
    }
    this.#mirror.on("change", () => { this.#mirror.save(); changed(); });
    this.mark(lines);
  }

  get hasFocus() { return this.#mirror?.hasFocus() ?? document.activeElement === this.#area; }

  focus() { (this.#mirror ?? this.#area).focus(); }

  /** Go to a line and put the cursor there. */
  go(line) {
    if (this.#mirror) { this.#mirror.setCursor(line - 1, 0); this.#mirror.focus(); return; }
    const before = this.#area.value.split("\n").slice(0, line - 1).join("\n").length;
    this.#area.focus();
    this.#area.setSelectionRange(before + (line > 1 ? 1 : 0), before + (line > 1 ? 1 : 0));
  }

  language(name) { this.#language = name; this.#mirror?.setOption("mode", MODES[name] ?? null); }

  /** Show mistakes, pairs of a line (from 1) and a message, at their lines. */
  mark(mistakes) {
    const mirror = this.#mirror;
    if (!mirror) return;
    mirror.operation(() => {
      for (const handle of this.#marked) mirror.removeLineClass(handle, "wrap", "mistaken");
      mirror.clearGutter("mistakes");
      this.#marked = [];
      for (const [line, message] of mistakes) {
        const handle = mirror.getLineHandle(Math.min(line, mirror.lineCount()) - 1);
        const sign = document.createElement("span");
        sign.className = "mistake";
        sign.title = message;
        sign.textContent = "●";
        mirror.setGutterMarker(handle, "mistakes", sign);
        mirror.addLineClass(handle, "wrap", "mistaken");
        this.#marked.push(handle);
      }
    });
  }

  /** What the field that takes this one's place needs to go on where this was. */
  keep() {
    const mirror = this.#mirror;
    if (!mirror) return null;
    const { left, top } = mirror.getScrollInfo();
    return { text: mirror.getValue(), history: mirror.getHistory(), cursor: mirror.getCursor(), left, top, focused: mirror.hasFocus() };
  }
}
