// The text of the element that has the focus, as the caret or the selection parts it: before it, in it, behind it, and whether the
// element takes line ends. `[]`: it holds no text that keys edit. Runs on the element, in our isolated world; reads elements through
// prototypes, because a form's named fields hide its own properties.
function () {
  'use strict';
  const element = this;
  const read = (prototype, name, on) => Object.getOwnPropertyDescriptor(prototype, name).get.call(on);
  const parts = (...texts) => texts.map((text) => text.toWellFormed());
  const isArea = element instanceof HTMLTextAreaElement;
  const root = Node.prototype.getRootNode.call(element);
  const chosen = root instanceof ShadowRoot && ShadowRoot.prototype.getSelection
    ? ShadowRoot.prototype.getSelection.call(root) : Document.prototype.getSelection.call(document);

  if (isArea || element instanceof HTMLInputElement) {
    const prototype = (isArea ? HTMLTextAreaElement : HTMLInputElement).prototype;
    const text = read(prototype, 'value', element);
    const start = read(prototype, 'selectionStart', element);
    if (start !== null) {
      const end = read(prototype, 'selectionEnd', element);
      return [...parts(text.slice(0, start), text.slice(start, end), text.slice(end)), isArea];
    }
    if (!['email', 'number'].includes(read(prototype, 'type', element))) return [];
    // These do not say where the caret is; it comes back to where it was.
    const selected = chosen.toString();
    if (selected !== '') {
      const at = text.indexOf(selected);
      return at < 0 || text.indexOf(selected, at + 1) >= 0 ? [...parts('', '', text), false]
        : [...parts(text.slice(0, at), selected, text.slice(at + selected.length)), false];
    }
    chosen.modify('extend', 'backward', 'lineboundary');
    const before = chosen.toString();
    if (before !== '') chosen.collapseToEnd();
    return [...parts(before, '', text.startsWith(before) ? text.slice(before.length) : ''), false];
  }

  if (!(element instanceof HTMLElement) || !read(HTMLElement.prototype, 'isContentEditable', element)) return [];
  if (chosen.rangeCount === 0) return [];
  const range = chosen.getRangeAt(0);
  const inside = (node) => Node.prototype.contains.call(element, node);
  if (!inside(range.startContainer) || !inside(range.endContainer)) return [];
  const before = new Range();
  before.selectNodeContents(element);
  const after = before.cloneRange();
  before.setEnd(range.startContainer, range.startOffset);
  after.setStart(range.endContainer, range.endOffset);
  return [...parts(before.toString(), range.toString(), after.toString()), true];
}
