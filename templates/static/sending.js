// Sends a form with files and shows how much of them is through. Without JavaScript the browser sends it by itself.

/** Send in the place of the browser, on the `submit` event; `status` shows the progress in words, the bar is put before it. */
export function sendFiles(event, form, status) {
  let content;
  try { content = new FormData(form, event.submitter); } catch { return; } // an old browser: it does so itself
  event.preventDefault();
  const request = new XMLHttpRequest(), bar = document.createElement("progress");
  bar.className = "sending";
  bar.setAttribute("aria-label", "Upload");
  status.before(bar);
  window.addEventListener("pageshow", () => bar.remove()); // back from the next page
  status.textContent = "Uploading…";
  request.upload.addEventListener("progress", ({ lengthComputable, loaded, total }) => {
    if (!lengthComputable) return;
    bar.max = total;
    bar.value = loaded;
    const whole = Math.max(1, Math.round(total / 1e6)).toLocaleString();
    status.textContent = loaded < total ? `Uploading ${whole} MB…` : "Uploaded; the server looks at it…";
  });
  request.addEventListener("load", () => arrive(request));
  request.addEventListener("error", () => {
    bar.remove();
    delete form.dataset.sent;
    status.textContent = "The upload broke off before the server had all of it. Send it again.";
  });
  request.responseType = "document";
  request.open("POST", form.getAttribute("action"));
  request.setRequestHeader("Accept", "text/html");
  request.send(content);
}

/** Go where the server sends us; a page that it answers with takes the place of this one, its own script begins anew. */
function arrive({ responseURL, response }) {
  if (!response || new URL(responseURL).pathname !== location.pathname) { location.assign(responseURL); return; }
  const script = response.getElementById("script");
  history.replaceState(null, "", responseURL);
  document.title = response.title;
  document.body.replaceWith(document.adoptNode(response.body));
  scrollTo(0, 0);
  if (script) import(`${script.src}&again=${Date.now()}`);
}
