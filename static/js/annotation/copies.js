// The judge page's side of worker.js: starts it, and says when the copy of a question is not what it was.

/**
 * Have copies of the questions for when the connection is away. address: the worker's; scope: where questions are;
 * held(): the addresses of those that are loaded already, the one on screen first.
 */
export function keepCopies(address, scope, held) {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return; // a browser without, or a page that came over plain HTTP from another host
  serviceWorker.addEventListener('controllerchange', () => held().forEach((path, place) => keepCopy(path, place === 0)));
  const register = () => serviceWorker.register(address, { scope, updateViaCache: 'none' }).catch((error) => {
    if (!(error instanceof TypeError || error instanceof DOMException)) throw error; // no connection, or not allowed
  });
  if (document.readyState === 'complete') register();
  else addEventListener('load', register, { once: true });
}

/** Copy a question anew; isWhole: with the page around it. */
export function keepCopy(path, isWhole = false) {
  navigator.serviceWorker?.controller?.postMessage({ path, isWhole });
}
