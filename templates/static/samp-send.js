// Sends results to TOPCAT, Aladin and others through the SAMP hub on the reader's own machine (web profile).
// Nothing is asked of the hub before a button is pressed; the page signs off when it is left.

const HUB = "http://localhost:21012/";
const HUB_SILENT_MS = 10_000;
const NO_HUB = "No SAMP hub found: start TOPCAT or Aladin, then try again.";

let library = null;
let connection = null;
let found = new Map(); // id of a client -> its name

export function offerSamp(root) {
  const bar = root.querySelector("#samp");
  if (!bar) return;
  const buttons = root.querySelectorAll("button[data-samp]");
  const say = (text) => { root.querySelector("#samp-status").textContent = text; };
  if (!bar.dataset.library) {
    say("Sending to TOPCAT or Aladin needs sampjs, which is not installed here: make front-end installs it.");
    return;
  }
  bar.hidden = buttons.length === 0;
  const select = bar.querySelector("select");
  fill(select);
  bar.querySelector("#samp-find").addEventListener("click", () => attempt(say, async () => {
    await connect(bar, say);
    const names = await findClients(buttons, select);
    say(names.length ? `Found ${list(names)}.` : "The hub knows no application that takes these files.");
  }));
  for (const button of buttons) {
    button.disabled = false;
    button.addEventListener("click", () => attempt(say, async () => {
      await connect(bar, say);
      await findClients(buttons, select);
      say(await send(button.dataset, select.value));
    }));
  }
}

async function attempt(say, work) {
  try {
    await work();
  } catch (error) {
    connection = null;
    say(error.sentence ?? `SAMP: ${error}`);
  }
}

async function connect(bar, say) {
  library ??= load(bar.dataset.library);
  const samp = await library;
  if (connection && await isAlive()) return;
  connection = null;
  say("Waiting for the hub: TOPCAT or Aladin may ask you to allow this page.");
  connection = await new Promise((resolve, reject) => {
    samp.register("uws-server", resolve, (error) => reject(refusal(error)));
  });
  const metadata = {
    "samp.name": "uws-server",
    "samp.description.text": "Products of X-ray reduction jobs",
    "samp.icon.url": new URL(bar.dataset.icon, location.href).href,
  };
  await call("declareMetadata", [metadata]);
}

function refusal(error) {
  const text = String(error?.faultString ?? error);
  const sentence = error?.faultString ? `The hub refused this page: ${text}` : NO_HUB;
  return Object.assign(new Error(text), { sentence });
}

// a hub answers ping to anybody, so this asks something that only a registered client may know
const isAlive = () => call("getRegisteredClients", []).then(() => true, () => false);

function call(method, parameters) {
  return new Promise((resolve, reject) => {
    connection[method](parameters, resolve, (error) => reject(refusal(error)));
    setTimeout(() => reject(Object.assign(new Error("no answer"), { sentence: "The SAMP hub does not answer." })), HUB_SILENT_MS);
  });
}

async function findClients(buttons, select) {
  const mtypes = new Set([...buttons].map((button) => button.dataset.samp));
  const clients = new Map();
  for (const mtype of mtypes) {
    for (const id of Object.keys(await call("getSubscribedClients", [mtype]))) {
      if (!clients.has(id)) clients.set(id, (await call("getMetadata", [id]))["samp.name"] || id);
    }
  }
  found = clients;
  fill(select);
  return [...found.values()];
}

function fill(select) {
  const chosen = select.value;
  select.replaceChildren(new Option("all applications", ""), ...[...found].map(([id, name]) => new Option(name, id)));
  select.value = found.has(chosen) ? chosen : "";
}

async function send({ samp: mtype, url, name }, client) {
  const message = { "samp.mtype": mtype, "samp.params": { url: new URL(url, location.href).href, name } };
  const takers = Object.keys(await call("getSubscribedClients", [mtype]));
  const names = takers.map((id) => found.get(id) ?? id);
  if (!takers.length) return `No connected application takes ${name}: start TOPCAT or Aladin.`;
  if (client && !takers.includes(client)) return `${found.get(client)} does not take ${name}; ${list(names)} would.`;
  if (client) await call("notify", [client, message]);
  else await call("notifyAll", [message]);
  return `Sent ${name} to ${client ? found.get(client) : list(names)}.`;
}

const list = (names) => new Intl.ListFormat("en").format(names);

/** sampjs is a plain script that ends with `module.exports = ...`: it needs a `module` to write to. */
function load(address) {
  return new Promise((resolve, reject) => {
    window.module ??= {};
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.module.exports.samp);
    script.onerror = () => {
      library = null;
      reject(Object.assign(new Error(address), { sentence: "sampjs could not be loaded: reload the page and try again." }));
    };
    document.head.append(script);
  });
}

// a request of its own that outlives the page: the library's would be cut off
window.addEventListener("pagehide", () => {
  if (!connection) return;
  const request = new window.module.exports.samp.XmlRpcRequest("samp.webhub.unregister", [connection.regInfo["samp.private-key"]]);
  fetch(HUB, { method: "POST", keepalive: true, mode: "cors", headers: { "Content-Type": "text/plain" }, body: request.toXml() }).catch(() => {});
  connection = null;
});
