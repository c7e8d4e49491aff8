"use strict";
const part = (id) => document.getElementById(id);

async function send(path, body, token) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch(part("second").dataset.base + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()).data;
}

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function typed() {
  const code = part("factor").value.trim();
  return /^[0-9]{6}$/.test(code) ? { totp: code } : { recovery_code: code };
}

// The JSON helpers of WebAuthn level 3 are younger than the browsers in use.
async function passkey() {
  const { challenge } = part("second").dataset;
  const { options } = await send("login/second-factor/options", { challenge });
  const allowCredentials = options.allowCredentials.map((one) => ({ ...one, id: bytes(one.id) }));
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials };
  const { id, rawId, type, response } = await navigator.credentials.get({ publicKey });
  const signed = {
    clientDataJSON: text(response.clientDataJSON),
    authenticatorData: text(response.authenticatorData),
    signature: text(response.signature),
  };
  if (response.userHandle) signed.userHandle = text(response.userHandle);
  return { passkey: { id, rawId: text(rawId), type, response: signed } };
}

async function prove(proof) {
  const { challenge, session } = part("second").dataset;
  part("wrong").hidden = true;
  try {
    const tokens = await send("login/second-factor", { challenge, ...(await proof()) });
    const made = await send("verified-code/new", session ? { session } : {}, tokens.access_token);
    part("code").textContent = made.code;
    part("second").hidden = true;
    part("done").hidden = false;
  } catch (error) {
    part("wrong").hidden = false;
  }
}

async function copy() {
  try {
    await navigator.clipboard.writeText(part("code").textContent);
  } catch (error) {
    getSelection().selectAllChildren(part("code"));
    document.execCommand("copy");
  }
  part("copied").hidden = false;
}

part("copy")?.addEventListener("click", copy);
part("prove")?.addEventListener("click", () => prove(typed));
part("factor")?.addEventListener("keydown", (event) => { if (event.key === "Enter") prove(typed); });
part("passkey")?.addEventListener("click", () => prove(passkey));
