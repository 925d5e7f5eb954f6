// Search, where pages are opened as files: browsers start no worker from a file, so the script of the search runs in a
// hidden frame instead. (The theme would fetch a script from the network for that.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #frame = document.createElement("iframe");
    #loaded;

    constructor(url) {
      super();
      this.#frame.hidden = true;
      document.body.append(this.#frame);
      const inner = this.#frame.contentWindow;
      inner.postMessage = data => {
        const event = new MessageEvent("message", {data});
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      this.#loaded = new Promise(resolve => {
        const script = inner.document.createElement("script");
        script.src = new URL(url, location.href);
        script.onload = resolve;
        inner.document.body.append(script);
      });
    }

    postMessage(data) {
      this.#loaded.then(() => this.#frame.contentWindow.dispatchEvent(new MessageEvent("message", {data})));
    }

    terminate() {
      this.#frame.remove();
    }
  };
}
