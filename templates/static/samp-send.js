// The buttons that send products to TOPCAT, Aladin and others by SAMP: one product, those that are ticked, or the table of
// all. `#samp` is their bar (samp_bar.html), `#samp-status` says what became of it.

import { clientsOf, connect, deliver, forget, list } from "./samp-hub.js";

const KINDS = {
  "table.load.fits": "tables", "table.load.votable": "tables", "image.load.fits": "images",
  "spectrum.load.ssa-generic": "spectra", "coverage.load.moc.fits": "coverage",
};

export function offerSamp(root) {
  const bar = root.querySelector("#samp");
  if (bar) new Sending(root, bar);
}

class Sending {
  constructor(root, bar) {
    Object.assign(this, { root, bar, found: new Map(), select: bar.querySelector("select") });
    this.buttons = [...root.querySelectorAll("button[data-samp]")];
    this.boxes = [...root.querySelectorAll("input[data-samp-box]")];
    if (!bar.dataset.library) {
      this.say("Sending to TOPCAT or Aladin needs sampjs, which is not installed here: make front-end installs it.");
      return;
    }
    bar.hidden = this.buttons.length === 0;
    this.fill();
    bar.querySelector("#samp-find").addEventListener("click", () => this.attempt(() => this.look()));
    for (const button of this.buttons) {
      button.disabled = false;
      button.addEventListener("click", () => this.attempt(() => this.send([button.dataset])));
    }
    this.offerSeveral();
  }

  offerSeveral() {
    const several = this.bar.querySelector("#samp-selected");
    if (!several || this.boxes.length < 2) return;
    several.hidden = false;
    for (const box of this.boxes) { box.closest("label").hidden = false; box.addEventListener("change", () => this.count(several)); }
    this.count(several);
    several.addEventListener("click", () => this.attempt(() => this.send(this.ticked.flatMap((box) => [...box.closest("tr").querySelectorAll("button[data-samp]")].map(({ dataset }) => dataset)))));
  }

  get ticked() {
    return this.boxes.filter((box) => box.checked);
  }

  count(several) {
    several.disabled = this.ticked.length === 0;
    several.textContent = this.ticked.length ? `Send the ${this.ticked.length} selected` : "Send the selected";
  }

  say(text) {
    this.root.querySelector("#samp-status").textContent = text;
  }

  async attempt(work) {
    try {
      await work();
    } catch (error) {
      forget();
      this.say(error.sentence ?? `SAMP: ${error}`);
    }
  }

  /** Signs on, and finds who takes what is here. */
  async look() {
    await connect(this.bar, (text) => this.say(text));
    this.found = await clientsOf(this.buttons.flatMap(({ dataset }) => dataset.samp.split(" ")));
    this.fill();
    const names = [...this.found.values()].map(({ name }) => name);
    this.say(names.length ? `Found ${list(names)}.` : "The hub knows no application that takes these files.");
  }

  /** The menu of clients, each with what it takes. */
  fill() {
    const chosen = this.select.value;
    const options = [...this.found].map(([id, { name, mtypes }]) => new Option(`${name} (${list([...new Set(mtypes.map((mtype) => KINDS[mtype] ?? mtype))])})`, id));
    this.select.replaceChildren(new Option("all applications", ""), ...options);
    this.select.value = this.found.has(chosen) ? chosen : "";
  }

  async send(datasets) {
    await this.look();
    const sentences = [], reached = new Map();
    for (const { samp, url, name } of datasets) {
      const product = { url, name, mtypes: samp.split(" ") };
      if (datasets.length > 1) this.say(`Sending ${name}…`);
      sentences.push(...await this.sendOne(product, reached));
    }
    const good = [...reached].map(([client, names]) => ({ client, names }));
    if (good.length) sentences.unshift(summary(good, datasets.length));
    this.say(sentences.join(" "));
  }

  /** Sends one product to whom it is for; gives what is wrong, and adds its name to those of the clients that have it. */
  async sendOne(product, reached) {
    const takers = [...this.found].filter(([, { mtypes }]) => mtypes.some((mtype) => product.mtypes.includes(mtype)));
    const names = takers.map(([, { name }]) => name), client = this.select.value;
    if (!takers.length) return [`No connected application takes ${product.name}: start TOPCAT or Aladin.`];
    const chosen = client ? takers.filter(([id]) => id === client) : takers;
    if (!chosen.length) return [`${this.found.get(client).name} does not take ${product.name}; ${list(names)} would.`];
    const answers = await Promise.all(chosen.map(async ([id, about]) => ({ name: about.name, wrong: await deliver(product, id, about) })));
    for (const { name, wrong } of answers) if (!wrong || wrong.includes("with a warning")) reached.set(name, [...reached.get(name) ?? [], product.name]);
    return answers.map(({ wrong }) => wrong).filter(Boolean);
  }
}

/** "Sent a.fits to TOPCAT and Aladin." or, of several products, how many each has. */
function summary(good, count) {
  const [{ names: [first] }] = good;
  if (count === 1) return `Sent ${first} to ${list(good.map(({ client }) => client))}.`;
  return `Sent ${list(good.map(({ client, names }) => `${names.length === count ? `all ${count}` : `${names.length} of ${count}`} to ${client}`))}.`;
}
