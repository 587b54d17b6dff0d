// Looks at the element that has the focus (`wanted` is null), or checks it again and inserts, all in one call: nothing of the page
// runs between the checks and the insertion. Runs on the element, in our isolated world, and leaves nothing there. It answers with
// what the element is, or with a code; never with a text of the page or a value.
function (wanted) {
  const element = this;
  const read = (prototype, name, on) => Object.getOwnPropertyDescriptor(prototype, name).get.call(on);
  const write = (prototype, name, on, value) => Object.getOwnPropertyDescriptor(prototype, name).set.call(on, value);
  const activeOf = (root) => root instanceof ShadowRoot
    ? read(ShadowRoot.prototype, 'activeElement', root)
    : read(Document.prototype, 'activeElement', root);
  const rootOf = (node) => Node.prototype.getRootNode.call(node);
  const command = (name, text) => {
    try { return Document.prototype.execCommand.call(document, name, false, text); } catch { return false; }
  };
  const tell = (on, name) => EventTarget.prototype.dispatchEvent.call(on, new Event(name, { bubbles: true, composed: true }));

  // The element has the focus of its document, through all shadow roots above it.
  const isActive = (node) => {
    for (let deep = 0; deep < 256; deep++) {
      const root = rootOf(node);
      if (!(root instanceof Document || root instanceof ShadowRoot) || activeOf(root) !== node) return false;
      if (root === document) return true;
      if (!(root instanceof ShadowRoot)) return false;
      node = read(ShadowRoot.prototype, 'host', root);
    }
    return false;
  };

  const TYPED = ['text', 'password', 'email', 'tel', 'url', 'number', 'search'];
  const SET = ['date', 'time', 'month', 'week', 'datetime-local', 'color', 'range'];
  const kindOf = (node) => {
    if (node instanceof HTMLInputElement) {
      const type = read(HTMLInputElement.prototype, 'type', node);
      return TYPED.includes(type) || SET.includes(type) ? type : 'other';
    }
    if (node instanceof HTMLTextAreaElement) return 'textarea';
    if (node instanceof HTMLElement && read(HTMLElement.prototype, 'isContentEditable', node)) return 'editable';
    return 'other';
  };
  const prototypeOf = (node) => (node instanceof HTMLInputElement ? HTMLInputElement : HTMLTextAreaElement).prototype;
  const valueOf = (node) => read(prototypeOf(node), 'value', node);
  const isDisabled = (node) => Element.prototype.matches.call(node, ':disabled');
  const isField = (node) => node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement;
  const isReadOnly = (node) => isField(node) && read(prototypeOf(node), 'readOnly', node);

  // Where the field's form can send it: origins, and schemes other than http and https. A `javascript:` action and the
  // document's own address send it nowhere else.
  const actionsOf = (node) => {
    if (!isField(node)) return [];
    const form = read(prototypeOf(node), 'form', node);
    if (!form) return [];
    const here = read(Document.prototype, 'URL', document);
    const found = new Set();
    const add = (address) => {
      if (address === here) return;
      let url;
      try { url = new URL(address); } catch { found.add('?'); return; }
      if (url.protocol === 'http:' || url.protocol === 'https:') found.add(url.origin);
      else if (url.protocol !== 'javascript:') found.add(url.protocol);
    };
    add(read(HTMLFormElement.prototype, 'action', form));
    const root = rootOf(form);
    const all = root instanceof Document ? Document.prototype.querySelectorAll
      : root instanceof ShadowRoot ? DocumentFragment.prototype.querySelectorAll : Element.prototype.querySelectorAll;
    for (const button of all.call(root, 'button, input[type=submit i], input[type=image i]')) {
      const own = (button instanceof HTMLInputElement ? HTMLInputElement : HTMLButtonElement).prototype;
      if (read(own, 'form', button) !== form) continue;
      if (own === HTMLButtonElement.prototype && read(own, 'type', button) !== 'submit') continue;
      add(read(own, 'formAction', button));
    }
    return [...found].sort();
  };

  const selection = () => {
    const root = rootOf(element);
    const get = root instanceof ShadowRoot && ShadowRoot.prototype.getSelection;
    return get ? get.call(root) : Document.prototype.getSelection.call(document);
  };
  const bare = (text) => text.replace(/[\s\u200b\ufeff]+/g, '');
  const kind = kindOf(element);
  const isSet = SET.includes(kind);
  const textNow = () => kind === 'editable' ? read(Node.prototype, 'textContent', element) : valueOf(element);
  // Of text: whether it would be all that stands in the field.
  const isWhole = (gone) => {
    if (kind === 'other') return false;
    if (isSet) return true;
    const text = textNow();
    if (gone) return kind === 'editable' ? bare(text) === bare(gone) : text === gone;
    if (kind === 'editable') return bare(text) === '' || bare(selection().toString()) === bare(text);
    if (text === '') return true;
    const start = read(prototypeOf(element), 'selectionStart', element);
    if (start === null) return selection().toString() === text;
    return start === 0 && read(prototypeOf(element), 'selectionEnd', element) === text.length;
  };
  const maxOf = (node) => 'password text email tel url search textarea'.split(' ').includes(kindOf(node))
    ? read(prototypeOf(node), 'maxLength', node) : -1;
  const actions = actionsOf(element);

  if (!wanted) {
    return {
      origin: self.origin,
      scheme: /^(about:srcdoc|[a-z-]+:)?/.exec(read(Document.prototype, 'URL', document))[0],
      kind, actions,
      whole: isWhole(''),
      disabled: isDisabled(element),
      readonly: isReadOnly(element),
      connected: read(Node.prototype, 'isConnected', element),
    };
  }

  // ---- From here to the insertion nothing of the page runs.
  if (self.origin !== wanted.origin) return 'origin';
  if (!read(Node.prototype, 'isConnected', element) || rootOf(element) === element) return 'gone';
  if (!isActive(element)) return 'focus';
  if (kind !== wanted.kind) return 'kind';
  if (isDisabled(element)) return 'disabled';
  if (isReadOnly(element)) return 'readonly';
  if (JSON.stringify(actions) !== JSON.stringify(wanted.actions)) return 'actions';
  if (wanted.whole && !isWhole(wanted.gone)) return 'literal';
  const text = wanted.parts.map((part) => typeof part === 'number' ? wanted.values[part] : part).join('');
  if (kind !== 'editable' && kind !== 'textarea' && /[\r\n]/.test(text)) return 'lines';

  const letters = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');
  // A field may change the case, or add or drop marks as masks of numbers do; it must not lose anything else.
  const isSame = (text, expected, inserted) => text === expected || text.toLowerCase() === expected.toLowerCase()
    || (/^[\p{L}\p{N}\s().\/+-]*$/u.test(inserted) && letters(inserted) !== '' && letters(text) === letters(expected));
  const isGone = (node) => !read(Node.prototype, 'isConnected', node);

  const put = (node, value) => {
    write(prototypeOf(node), 'value', node, value);
    tell(node, 'input');
    tell(node, 'change');
  };

  if (isSet) {
    const probe = Document.prototype.createElement.call(document, 'input');
    for (const name of ['type', 'min', 'max', 'step']) {
      const attribute = Element.prototype.getAttribute.call(element, name);
      if (attribute !== null) Element.prototype.setAttribute.call(probe, name, attribute);
    }
    write(HTMLInputElement.prototype, 'value', probe, text);
    const taken = valueOf(probe);
    if (taken !== text && taken.toLowerCase() !== text.toLowerCase()) return 'format';
    const before = valueOf(element);
    put(element, text);
    if (isGone(element) || valueOf(element) === taken) return 'ok';
    put(element, before);
    return 'nottaken';
  }

  // One-time codes that are entered in boxes of one digit each.
  const boxes = () => {
    if (!wanted.code || !(element instanceof HTMLInputElement) || !/^[0-9]{4,10}$/.test(text)) return [];
    const root = rootOf(element);
    const all = root instanceof ShadowRoot ? DocumentFragment.prototype.querySelectorAll : Document.prototype.querySelectorAll;
    const form = read(HTMLInputElement.prototype, 'form', element);
    // Of the kind that was judged: `field` may name it.
    const isBox = (node) => kindOf(node) === kind && read(HTMLInputElement.prototype, 'form', node) === form
      && !isDisabled(node) && !isReadOnly(node)
      && (maxOf(node) === 1 || (maxOf(node) === -1 && maxOf(element) === -1
        && /\bone-time-code\b/i.test(Element.prototype.getAttribute.call(node, 'autocomplete') ?? '')));
    const found = [...all.call(root, 'input')].filter(isBox);
    const from = found.indexOf(element);
    return from < 0 ? [] : found.slice(from, from + text.length);
  };
  const row = boxes();
  if (row.length === text.length && text.length > 1) {
    for (const [at, digit] of [...text].entries()) {
      const box = row[at];
      if (!isGone(box) && !isActive(box)) HTMLElement.prototype.focus.call(box);
      const ready = !isGone(box) && isActive(box) && !isDisabled(box) && !isReadOnly(box)
        && JSON.stringify(actionsOf(box)) === JSON.stringify(wanted.actions);
      if (ready) {
        HTMLInputElement.prototype.select.call(box);
        command('insertText', digit);
      }
      const last = at + 1 === text.length;
      if (!ready || (valueOf(box) !== digit && !(last && isGone(box)))) {
        for (const box of row.slice(0, at + 1)) if (!isGone(box)) put(box, '');
        return 'nottaken';
      }
    }
    return 'ok';
  }

  if (kind === 'number' && !/^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$/.test(text)) return 'format';

  if (kind === 'editable') {
    const chosen = selection();
    const inside = (node) => node && (node === element || Node.prototype.contains.call(element, node));
    if (!inside(chosen.anchorNode) || !inside(chosen.focusNode)) return 'focus';
    if (wanted.gone) {
      if (!chosen.isCollapsed) return 'moved';
      for (const _ of wanted.gone) chosen.modify('extend', 'backward', 'character');
      if (chosen.toString().replace(/\u00a0/g, ' ') !== wanted.gone) {
        chosen.collapseToEnd();
        return 'moved';
      }
    }
    const before = textNow();
    const replaced = bare(chosen.toString()).length;
    command('insertText', text);
    if (isGone(element)) return 'ok';
    const after = bare(textNow());
    const much = bare(before).length - replaced + bare(text).length;
    const has = (all, part) => all.includes(part);
    if (after.length === much && (has(after, bare(text)) || has(after.toLowerCase(), bare(text).toLowerCase()))) return 'ok';
    if (textNow() !== before) command('undo');
    return 'nottaken';
  }

  const before = valueOf(element);
  const max = maxOf(element);
  let start = read(prototypeOf(element), 'selectionStart', element);
  let end = read(prototypeOf(element), 'selectionEnd', element);
  let expected;
  if (start === null) {
    // Inputs of numbers and addresses do not say where the caret is.
    const chosen = selection();
    if (wanted.gone) {
      if (before === wanted.gone) {
        HTMLInputElement.prototype.select.call(element);
      } else {
        for (const _ of wanted.gone) chosen.modify('extend', 'backward', 'character');
        if (chosen.toString() !== wanted.gone) return 'moved';
      }
    }
    const replaced = chosen.toString();
    if (!before.includes(replaced)) return 'moved';
    if (max >= 0 && before.length - replaced.length + text.length > max) return 'long';
    expected = (after) => {
      const places = new Set([0, before.length - replaced.length]);
      const [all, part] = [after.toLowerCase(), text.toLowerCase()];
      for (let at = all.indexOf(part); at >= 0 && places.size < 64; at = all.indexOf(part, at + 1)) places.add(at);
      return [...places].map((at) => before.slice(0, at) + text + before.slice(at + replaced.length));
    };
  } else {
    if (wanted.gone) {
      if (start !== end || before.slice(start - wanted.gone.length, start) !== wanted.gone || start < wanted.gone.length) return 'moved';
      start -= wanted.gone.length;
    }
    if (max >= 0 && before.length - (end - start) + text.length > max) return 'long';
    expected = () => [before.slice(0, start) + text + before.slice(end)];
    // The selection of the document is made the field's, should a script have moved it elsewhere.
    prototypeOf(element).setSelectionRange.call(element, start, end);
  }
  const lines = (text) => text.replace(/\r\n?/g, '\n');
  command('insertText', text);
  if (isGone(element)) return 'ok';
  const after = lines(valueOf(element));
  if (expected(after).some((expected) => isSame(after, lines(expected), text))) return 'ok';
  if (valueOf(element) !== before) put(element, before);
  return 'nottaken';
}
