// The judge page's side of the service worker: it starts the worker, and asks it to copy a page again.

/**
 * Register the service worker, which copies assignments for when there is no connection. url: of its script; scope:
 * the path of the assignments; heldUrls(): those that are loaded already, the one on screen first.
 */
export function registerServiceWorker(url, scope, heldUrls) {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return; // an older browser, or a page over plain HTTP from another host
  serviceWorker.addEventListener('controllerchange', () => heldUrls().forEach((path, place) => refreshCopy(path, place === 0)));
  const register = () => serviceWorker.register(url, { scope, updateViaCache: 'none' }).catch((error) => {
    if (!(error instanceof TypeError || error instanceof DOMException)) throw error; // no connection, or not allowed
  });
  if (document.readyState === 'complete') register();
  else addEventListener('load', register, { once: true });
}

/** Copy an assignment again; isWhole: with the page around it. */
export function refreshCopy(path, isWhole = false) {
  navigator.serviceWorker?.controller?.postMessage({ path, isWhole });
}
