"use strict";
const part = (id) => document.getElementById(id);

async function send(path, body, token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch(part("second").dataset.base + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()).data;
}

async function prove() {
  const { challenge, session } = part("second").dataset;
  const typed = part("factor").value.trim();
  const proof = /^[0-9]{6}$/.test(typed) ? { totp: typed } : { recovery_code: typed };
  part("wrong").hidden = true;
  try {
    const tokens = await send("login/second-factor", { challenge, ...proof });
    const made = await send("verified-code/new", session ? { session } : {}, tokens.access_token);
    part("code").textContent = made.code;
    part("second").hidden = true;
    part("done").hidden = false;
  } catch (error) {
    part("wrong").hidden = false;
  }
}

async function copy() {
  const text = part("code").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch (error) {
    getSelection().selectAllChildren(part("code"));
    document.execCommand("copy");
  }
  part("copied").hidden = false;
}

part("copy")?.addEventListener("click", copy);
part("prove")?.addEventListener("click", prove);
part("factor")?.addEventListener("keydown", (event) => { if (event.key === "Enter") prove(); });
