// The SAMP hub on the reader's own machine (web profile): who is there, and products that are sent to them. Each is
// called, so that what became of it is known. Nothing is asked of the hub before a button is pressed; the page signs off
// when it is left.

const HUB = "http://localhost:21012/";
const HUB_SILENT_MS = 10_000;
const LOADING_S = 60;
const NO_HUB = "No SAMP hub found: start TOPCAT or Aladin, then try again.";
const ID_OF = { table: "table-id", image: "image-id", spectrum: "spectrum-id", coverage: "coverage-id" };

let library = null;
let connection = null;
let sent = 0;

/** Signs on, if the page has not; `place` has the addresses of the library and of the icon. Throws with a `sentence`. */
export async function connect(place, say) {
  library ??= load(place.dataset.library);
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
    "samp.icon.url": new URL(place.dataset.icon, location.href).href,
  };
  await call("declareMetadata", [metadata]);
}

/** After a failure: the next press signs on anew. */
export function forget() {
  connection = null;
}

/** The clients that take one of some messages: by their ids, each with its name and the messages it takes. */
export async function clientsOf(mtypes) {
  const clients = new Map();
  for (const mtype of new Set(mtypes)) {
    for (const id of Object.keys(await call("getSubscribedClients", [mtype]))) {
      if (!clients.has(id)) clients.set(id, { name: (await call("getMetadata", [id]))["samp.name"] || id, mtypes: [] });
      clients.get(id).mtypes.push(mtype);
    }
  }
  return clients;
}

/** Sends a product ({url, name, mtypes}) to one client, by the first of its messages that it takes; says what is wrong, or ''. */
export async function deliver({ url, name, mtypes }, id, { name: client, mtypes: taken }) {
  const mtype = mtypes.find((each) => taken.includes(each)), address = new URL(url, location.href).href;
  const parameters = { url: address, name, [ID_OF[mtype.split(".")[0]]]: freshId() };
  if (mtype.startsWith("spectrum.")) parameters.meta = { "Access.Reference": address, "Access.Format": "application/fits", Title: name };
  let answer;
  try {
    answer = await call("callAndWait", [id, { "samp.mtype": mtype, "samp.params": parameters }, String(LOADING_S)], (LOADING_S + 10) * 1000);
  } catch (error) {
    return error.isSilence || /time/i.test(error.message) ? `${client} did not answer within ${LOADING_S} s about ${name}.` : `${client} could not be sent ${name}: ${error.message}.`;
  }
  if (answer["samp.status"] === "samp.ok") return "";
  const why = answer["samp.error"]?.["samp.errortxt"] || "it gave no reason";
  return answer["samp.status"] === "samp.warning" ? `${client} loaded ${name}, with a warning: ${why}.` : `${client} could not load ${name}: ${why}.`;
}

/** Sends a product to every client that takes it, and says what became of it; `nobody` is said where none does. */
export async function sendToAll(product, place, say, nobody) {
  try {
    await connect(place, say);
    const clients = await clientsOf(product.mtypes);
    if (!clients.size) { say(nobody); return; }
    say(`Sending ${product.name}…`);
    const answers = await Promise.all([...clients].map(async ([id, about]) => [about.name, await deliver(product, id, about)]));
    const good = answers.filter(([, wrong]) => !wrong).map(([client]) => client), wrong = answers.map(([, sentence]) => sentence).filter(Boolean);
    say([...(good.length ? [`Sent ${product.name} to ${list(good)}.`] : []), ...wrong].join(" "));
  } catch (error) {
    forget();
    say(error.sentence ?? `SAMP: ${error}`);
  }
}

export const list = (names) => new Intl.ListFormat("en").format(names);

/** An id that no product was sent by before: TOPCAT refuses the same one twice. */
function freshId() {
  sent += 1;
  return `uws-server-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}-${sent}`;
}

function refusal(error) {
  const text = String(error?.faultString ?? error);
  const sentence = error?.faultString ? `The hub refused this page: ${text}` : NO_HUB;
  return Object.assign(new Error(text), { sentence });
}

// a hub answers ping to anybody, so this asks something that only a registered client may know
const isAlive = () => call("getRegisteredClients", []).then(() => true, () => false);

function call(method, parameters, patience = HUB_SILENT_MS) {
  return new Promise((resolve, reject) => {
    connection[method](parameters, resolve, (error) => reject(refusal(error)));
    setTimeout(() => reject(Object.assign(new Error("no answer"), { sentence: "The SAMP hub does not answer.", isSilence: true })), patience);
  });
}

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
