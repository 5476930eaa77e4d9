"""What every HTML report looks like: its style and its script, inlined so that it is one file."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #1f2328; --dim: #6e7781; --edge: #d8dee4;
  --soft: #f6f8fa; --good: #dafbe1; --good-ink: #116329; --bad: #ffebe9; --bad-ink: #a40e26;
  --part: #fff8c5; --part-ink: #7d4e00; --link: #0969da; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --ink: #e6edf3; --dim: #8b949e;
  --edge: #30363d; --soft: #161b22; --good: #12261e; --good-ink: #56d364; --bad: #2d1417;
  --bad-ink: #ff7b72; --part: #2b2111; --part-ink: #e3b341; --link: #58a6ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 14px/1.45 system-ui, "Segoe UI", Roboto, sans-serif; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
header { padding: 20px 28px 14px; border-bottom: 1px solid var(--edge); }
h1 { font-size: 20px; margin: 0 0 10px; font-weight: 600; }
h2 { font: 600 15px/1.3 ui-monospace, Consolas, monospace; margin: 0; word-break: break-all; }
h3 { font-size: 13px; margin: 18px 0 6px; color: var(--dim); font-weight: 600; }
.numbers { display: flex; flex-wrap: wrap; gap: 28px; align-items: center; }
.number b { font-size: 22px; font-weight: 600; margin-right: 6px; }
.number span { color: var(--dim); }
.bar { width: 120px; height: 6px; border-radius: 3px; background: var(--bad-ink); overflow: hidden;
  margin-top: 3px; } .bar i { display: block; height: 100%; background: var(--good-ink); }
main { padding: 16px 28px 60px; max-width: 1280px; }
.tools { position: sticky; top: 0; background: var(--back); padding: 8px 0; z-index: 2;
  display: flex; gap: 18px; align-items: center; color: var(--dim); border-bottom: 1px solid
  var(--edge); margin-bottom: 14px; }
kbd { border: 1px solid var(--edge); border-radius: 4px; padding: 0 5px; background: var(--soft);
  font: 12px ui-monospace, monospace; }
section.file { border: 1px solid var(--edge); border-radius: 8px; margin: 0 0 22px;
  overflow: clip; }
.title { display: flex; justify-content: space-between; gap: 20px; padding: 10px 14px;
  background: var(--soft); border-bottom: 1px solid var(--edge); align-items: center; }
.note { padding: 6px 14px; color: var(--part-ink); background: var(--part); }
table.source { border-collapse: collapse; width: 100%; font: 12.5px/1.5 ui-monospace,
  SFMono-Regular, Consolas, monospace; }
table.source td { padding: 0 10px; vertical-align: top; white-space: pre; tab-size: 4; }
td.no, td.hits { text-align: right; color: var(--dim); user-select: none; width: 1%; }
td.hits { min-width: 64px; border-right: 1px solid var(--edge); }
td.text { white-space: pre-wrap !important; word-break: break-word; }
tr.code { cursor: pointer; }
tr.code:hover td, tr.code:focus td { box-shadow: inset 0 0 0 99px rgb(127 127 127 / 12%); }
tr.code:focus { outline: 2px solid var(--link); outline-offset: -2px; }
tr.hit td.hits { background: var(--good); color: var(--good-ink); }
tr.miss td { background: var(--bad); } tr.miss td.hits { color: var(--bad-ink); }
tr.part td.hits { background: var(--part); color: var(--part-ink); }
.badge { border-radius: 9px; padding: 0 7px; margin-left: 10px; font: 11px/17px system-ui,
  sans-serif; display: inline-block; background: var(--part); color: var(--part-ink);
  border: 1px solid currentcolor; }
.badge.never { background: var(--bad); color: var(--bad-ink); }
tr.under td { background: var(--soft); padding: 6px 14px 8px 76px !important; border-block: 1px
  solid var(--edge); }
tr.under table td { padding: 0 12px 0 0 !important; border: 0; background: none !important; }
tr.under .count { text-align: right; min-width: 70px; color: var(--dim); }
tr.under .zero td { color: var(--bad-ink); }
tr.under .program { color: var(--dim); }
body.only tr.plain, body.only tr.hit { display: none; }
ul.gaps { margin: 0; padding: 10px 14px 12px 32px; border-top: 1px solid var(--edge); }
ul.gaps li { margin: 2px 0; } ul.gaps code { font: 12px ui-monospace, monospace; }
table.files { border-collapse: collapse; margin: 0 0 18px; }
table.files td, table.files th { padding: 3px 16px 3px 0; text-align: right; font-weight: 400; }
table.files th { color: var(--dim); } table.files :is(td, th):first-child { text-align: left; }
footer { color: var(--dim); padding: 0 28px 24px; }
"""

SCRIPT = """
"use strict";
function toggle(row) {
  const under = row.nextElementSibling;
  under.hidden = !under.hidden;
  row.setAttribute("aria-expanded", String(!under.hidden));
}
document.addEventListener("click", event => {
  const row = event.target.closest("tr.code");
  if (row && !getSelection().toString()) toggle(row);
});
const only = document.getElementById("only");
only.addEventListener("change", () => document.body.classList.toggle("only", only.checked));
const gaps = [...document.querySelectorAll("tr.miss, tr.part")];
let at = -1;
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const row = event.target.closest ? event.target.closest("tr.code") : null;
  if (row && (event.key === "Enter" || event.key === " ")) {
    toggle(row);
    event.preventDefault();
  } else if ((event.key === "n" || event.key === "p") && gaps.length) {
    at = (at + (event.key === "n" ? 1 : gaps.length - 1)) % gaps.length;
    gaps[at].scrollIntoView({ block: "center" });
    gaps[at].focus();
  }
});
function show() {
  const row = location.hash ? document.getElementById(location.hash.slice(1)) : null;
  if (row && row.matches("tr.code") && row.nextElementSibling.hidden) toggle(row);
}
addEventListener("hashchange", show);
show();
"""
