// The API reference: reads /openapi.json and shows operations, permissions, refusals, shapes and curl lines.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const ROLES = { resident: "住民", staff: "職員", vendor: "事業者", service: "システム" };
const IN = { path: "パス", query: "検索条件", header: "ヘッダー" };
const byId = (id) => document.getElementById(id);
let documentation;

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text != null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function resolve(schema, seen = []) {
  if (!schema?.$ref) return [schema ?? {}, seen];
  if (seen.includes(schema.$ref)) return [{ type: "object", title: schema.$ref.split("/").pop() }, seen];
  const found = schema.$ref.split("/").slice(1).reduce((part, name) => part?.[name.replaceAll("~1", "/")], documentation);
  return resolve(found, [...seen, schema.$ref]);
}

function kind(schema) {
  const [resolved] = resolve(schema);
  if (resolved.const !== undefined) return JSON.stringify(resolved.const);
  if (resolved.enum) return resolved.enum.map((value) => JSON.stringify(value)).join(" | ");
  const either = resolved.anyOf ?? resolved.oneOf;
  if (either) return either.map(kind).join(" | ");
  if (resolved.type === "array") return `${kind(resolved.items)} の配列`;
  return [resolved.title && resolved.type === "object" ? resolved.title : resolved.type, resolved.format].filter(Boolean).join(" ") || "any";
}

const BY_FORMAT = {
  uuid: "0190f3a2-7c1e-7c3d-9a41-1f2e3d4c5b6a", date: "2026-11-24", "date-time": "2026-11-24T09:00:00+09:00", binary: "<file>",
};

function example(schema, seen = []) {
  const [resolved, path] = resolve(schema, seen);
  if (resolved.examples?.length) return resolved.examples[0];
  if (resolved.example !== undefined) return resolved.example;
  if (resolved.const !== undefined) return resolved.const;
  if (resolved.default != null) return resolved.default;
  if (resolved.enum) return resolved.enum[0];
  const either = resolved.anyOf ?? resolved.oneOf;
  if (either) return example(either.find((part) => part.type !== "null") ?? {}, path);
  if (resolved.allOf) return Object.assign({}, ...resolved.allOf.map((part) => example(part, path)));
  if (resolved.type === "array") return path.length > 6 ? [] : [example(resolved.items, path)];
  if (resolved.type === "integer" || resolved.type === "number") return resolved.minimum ?? 0;
  if (resolved.type === "boolean") return true;
  if (resolved.type === "string") return BY_FORMAT[resolved.format] ?? "…";
  const members = Object.entries(resolved.properties ?? {});
  return path.length > 6 ? {} : Object.fromEntries(members.map(([name, part]) => [name, example(part, path)]));
}

function table(heads, rows) {
  const made = element("table");
  const head = element("tr");
  head.append(...heads.map((text) => element("th", text, { scope: "col" })));
  made.append(head);
  for (const cells of rows) {
    const row = element("tr");
    row.append(...cells.map((cell, index) => {
      const data = element("td");
      data.append(index === 0 ? element("code", cell) : document.createTextNode(cell ?? ""));
      return data;
    }));
    made.append(row);
  }
  const scroll = element("div", null, { class: "scroll" });
  scroll.append(made);
  return scroll;
}

function fold(title, ...content) {
  const made = element("details");
  made.append(element("summary", title), ...content);
  return made;
}

function code(text) {
  const made = element("pre", null, { tabindex: "0" });
  made.append(element("code", text));
  return made;
}

function fields(schema) {
  const [resolved] = resolve(schema);
  const needed = new Set(resolved.required ?? []);
  const rows = Object.entries(resolved.properties ?? {}).map(([name, part]) => {
    const [inner] = resolve(part);
    return [name, kind(part), needed.has(name) ? "必須" : "任意", part.description ?? inner.description ?? ""];
  });
  return rows.length ? [table(["項目", "型", "", "説明"], rows)] : [];
}

function curl(path, method, operation) {
  const lines = [`curl -sS -X ${method.toUpperCase()} '${location.origin}${path}'`];
  if (operation.security?.length) lines.push(`  -H "Authorization: Bearer $TOKEN"`);
  for (const parameter of operation.parameters ?? []) {
    if (parameter.in !== "header" || !parameter.required) continue;
    const value = parameter.name === "Idempotency-Key" ? "$(uuidgen)" : parameter.name === "If-Match" ? `\\"1\\"` : "…";
    lines.push(`  -H "${parameter.name}: ${value}"`);
  }
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (type === "application/json") {
    lines.push(`  -H 'Content-Type: application/json'`, `  -d '${JSON.stringify(example(content.schema)).replaceAll("'", "'\\''")}'`);
  } else if (type) {
    lines.push(`  -H 'Content-Type: ${type}'`, type.includes("urlencoded") ? "  -d '…'" : "  --data-binary @file");
  }
  return lines.join(" \\\n");
}

function marks(operation) {
  const found = [];
  if (operation["x-scope"]) found.push(["", `権限 ${operation["x-scope"]}`]);
  else found.push(["open", "トークン不要"]);
  for (const role of operation["x-roles"] ?? []) found.push(["", ROLES[role] ?? role]);
  if (operation["x-official"]) found.push(["", `公式の仕様 ${operation["x-official"]}`]);
  return found.map(([name, text]) => element("li", text, { class: name }));
}

function article(path, method, operation, id) {
  const made = byId("operation").content.firstElementChild.cloneNode(true);
  made.id = id;
  made.dataset.words = `${path} ${method} ${operation.summary ?? ""} ${operation["x-scope"] ?? ""}`.toLowerCase();
  made.querySelector("h3").textContent = operation.summary ?? path;
  const verb = made.querySelector(".verb");
  verb.textContent = method.toUpperCase();
  verb.classList.add(method);
  made.querySelector(".where").textContent = path;
  made.querySelector(".tags").append(...marks(operation));
  made.querySelector(".text").textContent = operation.description ?? "";
  const parameters = (operation.parameters ?? []).map((one) => [one.name, IN[one.in] ?? one.in, one.required ? "必須" : "任意", one.description ?? ""]);
  if (parameters.length) made.append(fold("引数", table(["名前", "場所", "", "説明"], parameters)));
  for (const [type, content] of Object.entries(operation.requestBody?.content ?? {})) {
    const shown = type === "application/json" ? [code(JSON.stringify(example(content.schema), null, 2))] : [];
    made.append(fold(`送るもの（${type}）`, ...fields(content.schema), ...shown));
  }
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    const content = answer.content?.["application/json"];
    if (!status.startsWith("2") || !content) continue;
    made.append(fold(`返るもの（${status}）`, ...fields(content.schema), code(JSON.stringify(example(content.schema), null, 2))));
  }
  const refusals = Object.entries(operation.responses ?? {}).filter(([status]) => status >= "4")
    .flatMap(([status, answer]) => (answer.description ?? "").split("\n").filter((line) => line.startsWith("`"))
      .map((line) => [line.split("`")[1], status, line.split("`").slice(2).join("").trim()]));
  if (refusals.length) made.append(fold("断られるとき", table(["slug", "状態", "意味"], refusals)));
  made.append(fold("試す（curl）", code(curl(path, method, operation))));
  return made;
}

function show() {
  byId("introduction").textContent = documentation.info.description.split("\n")[0];
  const groups = new Map();
  for (const [path, item] of Object.entries(documentation.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const group = item[method].tags?.[0] ?? "gateway";
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push([path, method, item[method]]);
    }
  }
  const titles = new Map((documentation.tags ?? []).map((tag) => [tag.name, `${tag.description}（${tag.name}）`]));
  const main = byId("operations");
  main.replaceChildren();
  for (const [group, operations] of groups) {
    const section = element("section", null, { class: "group" });
    section.append(element("h2", titles.get(group) ?? group));
    const list = element("ul");
    operations.forEach(([path, method, operation], index) => {
      const id = `${group}-${index}`;
      section.append(article(path, method, operation, id));
      const row = element("li");
      row.append(element("a", operation.summary ?? `${method} ${path}`, { href: `#${id}` }));
      list.append(row);
    });
    main.append(section);
    byId("contents").append(element("h2", titles.get(group) ?? group), list);
  }
}

byId("find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const one of document.querySelectorAll(".operation")) one.hidden = !words.every((word) => one.dataset.words.includes(word));
});

fetch("/openapi.json").then((answer) => answer.json()).then((read) => { documentation = read; show(); })
  .catch(() => { byId("waiting").textContent = "読み込めませんでした。もう一度開いてください。"; });
