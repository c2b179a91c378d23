"use strict";

/** An element with text and children. */
function element(name, text = "", ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

/** A table whose rows are pairs of a name and a text. */
function table(rows) {
  const cells = ([name, text]) => element("tr", "", element("td", "", element("code", name)), element("td", text));
  return element("table", "", ...rows.map(cells));
}

/** What one operation takes and answers. */
function operation(path, method, described) {
  const shown = element("section");
  const word = element("span", method.toUpperCase());
  word.className = "method";
  const title = element("h2", "", word, element("code", path));
  shown.append(title, element("p", described.summary));
  const form = described.requestBody?.content["multipart/form-data"].schema;
  if (form) {
    const needed = (name) => (form.required.includes(name) ? "Required. " : "");
    const fields = Object.entries(form.properties).map(([name, field]) => [name, needed(name) + field.description]);
    shown.append(element("h3", "Form (multipart/form-data)"), table(fields));
  }
  const answers = Object.entries(described.responses).map(([status, answer]) => [status, answer.description]);
  shown.append(element("h3", "Answers"), table(answers));
  return shown;
}

async function show() {
  for (const origin of document.querySelectorAll(".origin")) origin.textContent = location.origin;
  const told = await (await fetch("/openapi.json")).json();
  document.getElementById("version").textContent = told.info.version;
  document.getElementById("about").textContent = told.info.description;
  for (const [path, methods] of Object.entries(told.paths)) {
    for (const [method, described] of Object.entries(methods)) {
      if (method === "parameters") continue;
      document.getElementById("operations").append(operation(path, method, described));
    }
  }
}

show();
