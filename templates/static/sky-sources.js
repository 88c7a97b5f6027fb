// The sources of a source list on the sky: a circle for each, of its error or its extent and never too small to be seen, and a list
// of rows beside it that leads to each.

const SVG = "http://www.w3.org/2000/svg";
const LEAST_PX = 6, MOST_ROWS = 300, ERRORS = 3, CLOSE_DEG = 0.1;

export class SkySources {
  #sources = [];
  #circles = [];
  #chosen = null;

  constructor({ group, panel, view, say }) {
    Object.assign(this, { group, panel, view, say });
    view.onMove(() => this.draw());
  }

  /** Fetch the list of an address, draw it, and return the places of its sources. */
  async load(address) {
    const answer = await fetch(address);
    if (!answer.ok) {
      this.say("The source list of this address cannot be had");
      return [];
    }
    const { title, page, sources } = await answer.json();
    this.#sources = sources;
    this.#circles = sources.map((source) => {
      const circle = document.createElementNS(SVG, "circle"), name = document.createElementNS(SVG, "title");
      name.textContent = `${source.number} ${source.name}`;
      circle.append(name);
      return circle;
    });
    this.group.replaceChildren(...this.#circles);
    this.#list(title, page);
    this.draw();
    return sources.map(({ ra, dec }) => [ra, dec]);
  }

  draw() {
    this.#sources.forEach((source, index) => {
      const circle = this.#circles[index], at = this.view.toPixel([source.ra, source.dec]);
      circle.toggleAttribute("hidden", !at);
      circle.setAttribute("display", at ? "" : "none");
      if (!at) return;
      const radius = Math.max(ERRORS * (source.error_arcsec ?? 0), 2 * source.extent_arcsec) / 3600;
      const edge = this.view.toPixel([source.ra, Math.min(source.dec + radius, 90)]);
      circle.setAttribute("cx", at[0]);
      circle.setAttribute("cy", at[1]);
      circle.setAttribute("r", Math.max(LEAST_PX, edge ? Math.hypot(edge[0] - at[0], edge[1] - at[1]) : 0));
      circle.setAttribute("class", `source${this.#chosen === source ? " chosen" : ""}`);
    });
  }

  #list(title, page) {
    const rows = this.#sources.slice(0, MOST_ROWS).map((source) => {
      const row = document.createElement("li"), show = document.createElement("button"), spectrum = document.createElement("a");
      show.type = "button";
      show.className = "quiet";
      show.textContent = `${source.number} ${source.name}`;
      show.addEventListener("click", () => this.#choose(source));
      spectrum.href = source.spectrum;
      spectrum.textContent = "spectrum here";
      spectrum.setAttribute("aria-label", `Spectrum of source ${source.number}`);
      row.append(show, " ", spectrum);
      return row;
    });
    const all = this.panel.querySelector("a");
    all.href = page;
    all.textContent = `${title}: ${this.#sources.length} source${this.#sources.length === 1 ? "" : "s"}`;
    this.panel.querySelector("ol").replaceChildren(...rows);
    this.panel.hidden = false;
  }

  #choose(source) {
    this.#chosen = source;
    this.view.show([source.ra, source.dec], Math.min(this.view.fov, CLOSE_DEG));
    this.draw();
  }
}
