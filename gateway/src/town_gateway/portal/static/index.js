// The first page: asks every second how far the journey is, and shows it. No library, nothing from elsewhere.
"use strict";

const ROLES = { resident: "住民として", staff: "職員として", vendor: "事業者として", service: "システムとして" };
const FAST = 1000;
const SLOW = 5000;
const byId = (id) => document.getElementById(id);
const copyOf = (id) => byId(id).content.firstElementChild.cloneNode(true);
const clock = new Intl.DateTimeFormat("ja-JP", {
  timeZone: "Asia/Tokyo", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
let shown = "";

function seconds(ms) {
  return ms < 10000 ? `${(ms / 1000).toFixed(2)} 秒` : `${(ms / 1000).toFixed(1)} 秒`;
}

function steps(state) {
  const done = new Map(state.hops.map((hop) => [hop.hop, hop]));
  const planned = state.plan.map((step) => ({ ...step, ...done.get(step.hop), done: done.has(step.hop) }));
  const names = new Set(state.plan.map((step) => step.hop));
  const unplanned = state.hops.filter((hop) => !names.has(hop.hop)).map((hop) => ({ ...hop, done: true }));
  return [...planned, ...unplanned];
}

function hopRow(step, isNext) {
  const row = copyOf("hop");
  const failed = step.done && step.ok === false;
  row.className = failed ? "failed" : step.done ? "done" : isNext ? "next" : "waiting";
  row.querySelector(".title").textContent = step.title ?? step.hop;
  row.querySelector(".en").textContent = step.title_en ?? "";
  row.querySelector(".detail").textContent = step.detail ?? "";
  row.querySelector(".state").textContent = failed ? "失敗" : step.done ? "済" : isNext ? "進行中" : "これから";
  const time = row.querySelector("time");
  if (step.at) {
    time.dateTime = step.at;
    time.textContent = `${clock.format(new Date(step.at))}${step.ms == null ? "" : `　開始から ${seconds(step.ms)}`}`;
  }
  if (isNext) row.setAttribute("aria-current", "step");
  return row;
}

function showJourney(state) {
  const all = steps(state);
  const done = all.filter((step) => step.done).length;
  const failed = !state.ok || all.some((step) => step.done && step.ok === false);
  const next = state.finished ? -1 : all.findIndex((step) => !step.done);
  const last = state.hops.at(-1);
  const took = last?.ms == null ? "" : `（${seconds(last.ms)}）`;
  byId("journey").hidden = all.length === 0;
  byId("calm").hidden = all.length !== 0;
  byId("progress").textContent = failed
    ? "途中で止まりました。記録を確認してください。"
    : state.finished ? `すべて届きました${took}` : `${all.length} のうち ${done} まで進みました`;
  byId("bar").style.setProperty("--done", all.length ? done / all.length : 0);
  byId("hops").replaceChildren(...all.map((step, index) => hopRow(step, index === next)));
}

function listOf(items) {
  return items.map(({ name, detail }) => {
    const row = document.createElement("li");
    const strong = document.createElement("b");
    strong.textContent = name;
    const rest = document.createElement("span");
    rest.textContent = detail ?? "";
    row.append(strong, rest);
    return row;
  });
}

function showTruth(state) {
  byId("truth").hidden = state.real.length + state.sandbox.length === 0;
  byId("real").replaceChildren(...listOf(state.real));
  byId("sandbox").replaceChildren(...listOf(state.sandbox));
}

async function copy(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "コピーしました";
  } catch {
    button.textContent = "選択してコピーしてください";
  }
  setTimeout(() => { button.textContent = before; }, 2000);
}

function whole(text) {
  const shown = document.createElement("span");
  shown.className = "whole";
  shown.textContent = text;
  return shown;
}

function tokenCard(account) {
  const card = copyOf("card");
  card.querySelector("h3").textContent = ROLES[account.role] ?? account.role;
  card.querySelector(".who").textContent = account.who ?? "";
  card.querySelector(".token code").append(whole(account.token));
  card.querySelector(".token button").addEventListener("click", (event) => copy(event.target, account.token));
  if (account.expires_at) {
    card.querySelector(".expires").textContent = `${clock.format(new Date(account.expires_at))} まで使えます`;
  }
  for (const { title, curl } of account.try ?? []) {
    const full = curl.replaceAll("{origin}", location.origin).replaceAll("{token}", account.token);
    const line = copyOf("line");
    line.querySelector("p").textContent = title;
    const parts = curl.replaceAll("{origin}", location.origin).split("{token}");
    line.querySelector("code").append(...parts.flatMap((part, index) => (index ? [whole(account.token), part] : [part])));
    line.querySelector("button").addEventListener("click", (event) => copy(event.target, full));
    card.querySelector(".lines").append(line);
  }
  return card;
}

async function showTokens() {
  const answer = await fetch("/portal/test-tokens");
  const accounts = answer.ok ? await answer.json() : [];
  byId("try").hidden = accounts.length === 0;
  byId("tokens").replaceChildren(...accounts.map(tokenCard));
  return accounts;
}

async function look() {
  let pause = SLOW;
  try {
    const answer = await fetch("/portal/journey");
    const text = await answer.text();
    if (answer.ok && text !== shown) {
      shown = text;
      const state = JSON.parse(text);
      byId("town").textContent = state.municipality;
      document.title = `${state.municipality}のデジタル基盤`;
      showJourney(state);
      showTruth(state);
      if (state.mode) await showTokens();
    }
    if (answer.ok && !JSON.parse(text).finished && JSON.parse(text).mode) pause = FAST;
  } catch {
    byId("progress").textContent = "つながりません。しばらくすると、もう一度試します。";
  }
  setTimeout(look, pause);
}

look();
setInterval(() => { if (!document.hidden && shown && JSON.parse(shown).mode) showTokens().catch(() => {}); }, 60000);
