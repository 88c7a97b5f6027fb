// The view of the sky: Aladin Lite with none of its own controls, whose two calls between pixels and positions are made safe.

const RADIUS_OF_NO_SKY = 1e9;
const AWAKE_MS = 1500;

/** Open Aladin Lite in an element. Raises an error where there is no WebGL. */
export async function openView(element, { library, blank, centre, fov }) {
  if (!document.createElement("canvas").getContext("webgl2")) throw new Error("this browser shows no WebGL");
  const { default: A } = await import(library);
  await A.init;
  const aladin = A.aladin(element, {
    survey: blank, target: `${centre[0].toFixed(8)} ${centre[1] < 0 ? "" : "+"}${centre[1].toFixed(8)}`, fov, cooFrame: "ICRS",
    hipsList: [], log: false, inertia: false, samp: false, backgroundColor: "rgb(11, 20, 32)",
    showZoomControl: false, showLayersControl: false, showFullscreenControl: false, showFrame: false, showFov: false,
    showCooLocation: false, showProjectionControl: false, showStatusBar: false, showReticle: false, showContextMenu: false,
    gridColor: "rgb(92, 128, 158)", gridOpacity: 0.8, gridOptions: { enabled: true, showLabels: true, thickness: 1, labelSize: 12 },
  });
  element.querySelector(".aladin-logo-container")?.remove(); // a link without a name; the page names and links Aladin Lite
  return new SkyView(A, aladin, element, blank);
}

class SkyView {
  #mocs = new Map();
  #listeners = [];
  #awakeUntil = 0;
  #isAsleep = false;

  constructor(A, aladin, element, blank) {
    Object.assign(this, { A, aladin, element, blank });
    this.#sleepAtRest();
    const moved = () => this.#listeners.forEach((listener) => listener());
    aladin.on("positionChanged", moved);
    aladin.on("zoomChanged", moved);
    new ResizeObserver(() => {
      this.wake();
      [0, 120, 400].forEach((wait) => setTimeout(moved, wait));
    }).observe(element);
  }

  /** Aladin Lite paints with every frame, whether anything has changed or not: without a picture it need not. */
  #sleepAtRest() {
    const { view } = this.aladin, paint = view.redrawClbk;
    if (typeof paint !== "function") return;
    view.redrawClbk = (time) => {
      this.#isAsleep = !this.survey && performance.now() > this.#awakeUntil;
      if (!this.#isAsleep) paint(time);
    };
    for (const kind of ["pointerdown", "pointermove", "wheel", "keydown"]) {
      this.element.addEventListener(kind, () => this.wake(), { capture: true, passive: true });
    }
    document.addEventListener("visibilitychange", () => this.wake());
    this.wake();
  }

  /** Paint for a while. */
  wake(forMs = AWAKE_MS) {
    this.#awakeUntil = Math.max(this.#awakeUntil, performance.now() + forMs);
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    requestAnimationFrame(this.aladin.view.redrawClbk);
  }

  onMove(listener) {
    this.#listeners.push(listener);
  }

  get size() {
    return [this.element.clientWidth, this.element.clientHeight];
  }

  /** The position at a pixel; null beside the sky. */
  toSky([x, y]) {
    try {
      const found = this.aladin.pix2world(x, y);
      return found && found.every(Number.isFinite) ? [((found[0] % 360) + 360) % 360, found[1]] : null;
    } catch {
      return null;
    }
  }

  /** The pixel of a position; null where it is not in the view. */
  toPixel([ra, dec]) {
    try {
      const found = this.aladin.world2pix(ra, dec);
      return found && found.every((value) => Math.abs(value) < RADIUS_OF_NO_SKY) ? [found[0], found[1]] : null;
    } catch {
      return null;
    }
  }

  get centre() {
    return this.aladin.getRaDec();
  }

  get fov() {
    return this.aladin.getFov()[0];
  }

  show([ra, dec], fov) {
    this.wake();
    if (fov) this.aladin.setFoV(Math.min(Math.max(fov, 5 / 3600), 180));
    this.aladin.gotoRaDec(ra, dec);
    this.#listeners.forEach((listener) => listener());
  }

  zoom(factor) {
    this.show(this.centre, this.fov * factor);
  }

  /** Move the view by pixels. */
  pan(dx, dy) {
    const [width, height] = this.size, to = this.toSky([width / 2 + dx, height / 2 + dy]);
    if (to) this.show(to);
  }

  showSurvey(url) {
    this.survey = url;
    this.wake(10 * AWAKE_MS); // what paints nothing has to be fetched, too
    this.aladin.setBaseImageLayer(url || this.blank);
  }

  showGrid(isShown) {
    this.wake();
    this.aladin.setCooGrid({ enabled: isShown });
  }

  /** Draw a MOC of the server under a name, in place of the one of that name; null removes it. */
  showMoc(name, moc, style = {}) {
    this.wake();
    const former = this.#mocs.get(name);
    if (former) this.aladin.removeLayer(former);
    this.#mocs.delete(name);
    if (!moc || !Object.values(moc).some((cells) => cells.length)) return; // an empty one ends Aladin's WebAssembly
    const layer = this.A.MOCFromJSON(moc, { opacity: 0.35, lineWidth: 1, fill: true, perimeter: true, ...style });
    this.aladin.addMOC(layer);
    this.#mocs.set(name, layer);
  }
}
