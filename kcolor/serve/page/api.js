/** Shows openapi.json as a page. */

const api = document.querySelector("#api");
const response = await fetch("openapi.json");
const { info, paths, components } = await response.json();

add(api, "p", info.description);
for (const [path, methods] of Object.entries(paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const section = add(api, "section");
    add(section, "h2", `${method.toUpperCase()} ${path}`);
    add(section, "p", `${operation.summary}. ${operation.description ?? ""}`);
    const rows = (operation.parameters ?? []).map((parameter) => [
      parameter.name,
      kind(parameter.schema ?? Object.values(parameter.content)[0].schema),
      parameter.description,
    ]);
    if (rows.length) table(section, "Parameters", rows);
    const answers = Object.entries(operation.responses).map(([status, answer]) => {
      const found = resolve(answer);
      return [status, Object.keys(found.content ?? {}).join(", "), found.description];
    });
    table(section, "Answers", answers);
  }
}
add(api, "h2", "Example");
add(api, "pre", "curl --data-binary @photo.jpg -o color.jpg 'ADDRESS/colorize?saturation=1.2'");

function resolve(value) {
  if (!value.$ref) return value;
  return value.$ref.split("/").slice(2).reduce((at, key) => at[key], components);
}

function kind(schema) {
  const { type, enum: choices, minimum, maximum } = resolve(schema);
  if (choices) return choices.join(", ");
  return maximum === undefined ? type : `${type}, ${minimum} to ${maximum}`;
}

function table(parent, title, rows) {
  add(parent, "h3", title);
  const list = add(parent, "dl");
  for (const [name, type, text] of rows) {
    add(list, "dt", name);
    add(list, "dd", [type, text].filter(Boolean).join(". "));
  }
}

function add(parent, name, text) {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}
