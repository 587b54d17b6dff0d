// What has the focus below a document, or below a closed shadow root. Open shadow roots are gone through.
// Runs in our isolated world; reads through prototypes, because elements with names hide a document's own properties.
function () {
  const read = (prototype, name, on) => Object.getOwnPropertyDescriptor(prototype, name).get.call(on);
  const active = (root) => root instanceof ShadowRoot
    ? read(ShadowRoot.prototype, 'activeElement', root)
    : read(Document.prototype, 'activeElement', root);
  let element = active(this instanceof ShadowRoot ? this : document);
  for (let deep = 0; element && deep < 256; deep++) {
    const root = read(Element.prototype, 'shadowRoot', element);
    const inner = root && active(root);
    if (!inner) return element;
    element = inner;
  }
  return null;
}
