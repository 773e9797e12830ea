// xterm.js writes its rules into <style> elements and the colours of cells into style attributes. The policy of the page
// (style-src 'self') refuses both; what a script adopts or sets property by property is not subject to it. So while the terminal is
// opened, what would be a <style> becomes an element whose text is adopted, and the style attribute of a <span> is set as its
// properties. Nothing else of the page makes either.

function adopting(): HTMLElement {
  const place = document.createElement("span");
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  place.hidden = true;
  let rules = "";
  Object.defineProperties(place, {
    textContent: {
      get: () => rules,
      set: (text: string) => {
        rules = text;
        sheet.replaceSync(text);
      },
    },
    remove: {
      value: () => {
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
        Element.prototype.remove.call(place);
      },
    },
  });
  return place;
}

/** Has the style attributes of spans set as properties. */
export function setStylesAsProperties() {
  HTMLSpanElement.prototype.setAttribute = function (name: string, value: string) {
    if (name === "style") this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };
}

/** Does something in which every new <style> is adopted instead. */
export function withAdoptedStyles(open: () => void) {
  const create = Document.prototype.createElement;
  const instead = (name: string, options?: ElementCreationOptions) => {
    if (name !== "style") return create.call(document, name, options);
    document.createElement = create;
    const place = adopting();
    document.createElement = instead as typeof create;
    return place;
  };
  document.createElement = instead as typeof create;
  try {
    open();
  } finally {
    Reflect.deleteProperty(document, "createElement");
  }
}
