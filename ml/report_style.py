"""The style sheet of a report: light, dark and paper.

The page's content is not here.
"""

CSS = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1f2933; --muted: #5f6b78;
  --grid: #dde2e8; --candidate: #2563c9; --champion: #c9741a; --yes: #14743f; --no: #b42318;
  --yes-soft: #e6f4ec; --no-soft: #fdecea; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --card: #1c2229; --ink: #e4e8ed;
  --muted: #98a3b0; --grid: #323b46; --candidate: #6ea8ff; --champion: #f0a65a; --yes: #5fd08f;
  --no: #ff8a80; --yes-soft: #17301f; --no-soft: #3a1d1b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 28px 20px 60px; }
header, section { background: var(--card); border: 1px solid var(--grid); border-radius: 10px;
  padding: 18px 22px; margin-bottom: 16px; }
h1 { font-size: 26px; line-height: 1.2; margin: 2px 0 4px; }
h2 { font-size: 17px; margin: 0 0 10px; }
h3 { font-size: 14px; margin: 16px 0 6px; color: var(--muted); font-weight: 600; }
p { margin: 8px 0 0; }
code, pre, .names td:first-child { font-size: 12.5px;
  font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 0; white-space: pre-wrap; color: var(--muted); }
.kind, .version { margin: 0; color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
.verdict { margin-top: 14px; padding: 9px 13px; border-radius: 8px; }
.verdict b, .reasons b { text-transform: uppercase; font-size: 11.5px; letter-spacing: .05em;
  margin-right: 6px; }
.verdict.yes { background: var(--yes-soft); } .verdict.no { background: var(--no-soft); }
.yes b { color: var(--yes); } .no b { color: var(--no); }
.reasons { list-style: none; margin: 0; padding: 0; }
.reasons li { display: flex; padding: 6px 0; border-top: 1px solid var(--grid); }
.reasons li:first-child { border-top: 0; }
.reasons b { flex: none; width: 72px; line-height: 2; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 14px 26px; }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; font-size: 14px; margin-bottom: 4px; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
section > figure { max-width: 640px; } section > figure figcaption { display: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; }
th { color: var(--muted); font-weight: 600; white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--muted); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 14px 0 0;
  font-size: 13.5px; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 520px) { .pictures { grid-template-columns: 1fr; } dl { grid-template-columns: 1fr; } }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --muted: #444;
    --grid: #ccc; --candidate: #2563c9; --champion: #c9741a; --yes: #14743f; --no: #b42318; }
  body { font-size: 12px; } table, dl { font-size: 10.5px; } .names td:first-child { font-size: 9.5px; }
  main { max-width: none; padding: 0; } header, section { border: 0; padding: 8px 0; }
  .pictures { grid-template-columns: 1fr 1fr; } .wide { overflow: visible; }
  figure, tr, li, dl { break-inside: avoid; } h2, h3 { break-after: avoid; } }
"""
