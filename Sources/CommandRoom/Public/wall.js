'use strict';
const $ = (selector, root = document) => root.querySelector(selector);
const tiles = new Map();
let session = null;
let following = null;

const legalTime = (text) => new Intl.DateTimeFormat('fr-FR', { timeZone: 'Europe/Paris', dateStyle: 'short', timeStyle: 'medium' }).format(new Date(text));

async function call(method, path, body) {
  const headers = {};
  if (session) headers['X-Plastron-CSRF'] = session.csrf;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const response = await fetch('/api/v1' + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: 'no-store' });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    if (response.status === 401 && session) leave();
    const error = new Error(answer.detail || `Erreur ${response.status}`);
    error.code = answer.code;
    throw error;
  }
  return answer;
}

function say(text) { $('#state').textContent = text; }

async function act(work) { try { say(''); await work(); } catch (error) { say(error.message); } }

function leave() {
  session = null;
  if (following) following.abort();
  for (const tile of tiles.values()) tile.remove();
  tiles.clear();
  $('#alarms').replaceChildren();
  $('#notices').replaceChildren();
  $('#second-factor').hidden = true; $('#recovery').hidden = true; $('#code').hidden = true;
  $('#login').hidden = false; $('#logout').hidden = true; $('#empty').hidden = true; $('#who').textContent = '';
  $('#login input[name=name]').focus();
}

async function enter(info) {
  session = info;
  $('#login').hidden = true; $('#logout').hidden = false;
  $('#who').textContent = `${info.agent} (${info.name})`;
  if (info.needsSecondFactor) await setUpSecondFactor(); else follow();
}

async function setUpSecondFactor() {
  const { uri, secret } = await call('POST', '/session/second-factor');
  $('#factor-uri').href = uri;
  $('#factor-secret').textContent = secret.match(/.{1,4}/g).join(' ');
  $('#second-factor').hidden = false;
  $('#second-factor input').focus();
}

async function follow() {
  while (session) {
    following = new AbortController();
    try {
      const response = await fetch('/api/v1/wall', { signal: following.signal, cache: 'no-store' });
      if (response.status === 401) { leave(); return; }
      if (!response.ok) {
        const problem = await response.json().catch(() => ({}));
        say(problem.detail || `Refus ${response.status}`);
        if (response.status === 403) return;
        await new Promise((r) => setTimeout(r, 1000));
        continue;
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let held = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (held + value).split('\n');
        held = lines.pop();
        // Only the newest state counts.
        const newest = lines.filter(Boolean).pop();
        if (newest) show(JSON.parse(newest));
      }
    } catch { /* tried again below */ }
    if (session) { say('Liaison avec le serveur perdue, nouvel essai… · reconnecting'); await new Promise((r) => setTimeout(r, 1000)); }
  }
}

function show(state) {
  say(state.ingestConnected ? '' : 'Réception des caméras arrêtée : elle redémarre · camera ingest is restarting');
  const present = new Set(state.incidents.map((i) => i.incident));
  for (const [id, tile] of tiles) if (!present.has(id)) { tile.remove(); tiles.delete(id); }
  for (const incident of state.incidents) {
    if (!tiles.has(incident.incident)) tiles.set(incident.incident, new Tile(incident));
    tiles.get(incident.incident).update(incident);
  }
  $('#empty').hidden = state.incidents.length > 0;
  showAlarms(state.alarms);
  showNotices(state);
}

function showNotices(state) {
  const texts = state.warnings.map((w) => `Procédure ${w.reference} : l'enregistrement ${w.recording} sera effacé le ${w.term} et n'est pas conservé · will be erased`);
  if (state.databaseAway) texts.unshift('La base de données ne répond pas : enregistrement, menaces et direct continuent ; registre et connexions attendent · database away');
  if (state.storage) texts.unshift(`Disques : ${state.storage}`);
  if (state.sweeperStopped) texts.unshift(`Effacement arrêté : ${state.sweeperStopped}`);
  const section = $('#notices');
  if (section.dataset.shown === texts.join('\n')) return;
  section.dataset.shown = texts.join('\n');
  section.replaceChildren(...texts.map((text) => { const p = document.createElement('p'); p.className = 'notice'; p.textContent = text; return p; }));
}

function showAlarms(alarms) {
  const key = (a) => a.camera + '|' + a.code;
  const section = $('#alarms');
  const wanted = new Map(alarms.map((a) => [key(a), a]));
  for (const child of [...section.children]) if (!wanted.has(child.dataset.key)) child.remove();
  for (const [id, alarm] of wanted) {
    if ([...section.children].some((c) => c.dataset.key === id)) continue;
    const box = document.createElement('div');
    box.className = 'alarm'; box.dataset.key = id; box.dataset.camera = alarm.camera; box.dataset.code = alarm.code;
    const text = document.createElement('p');
    const name = document.createElement('strong');
    name.textContent = `${alarm.camera} `;
    text.append(name, `${legalTime(alarm.at)} : ${alarm.sentence}`);
    box.append(text);
    if (alarm.canIssue) addIssue(box, alarm);
    section.append(box);
  }
}

function addIssue(box, alarm) {
  const select = document.createElement('select');
  select.ariaLabel = 'Agent';
  const button = document.createElement('button');
  button.textContent = 'Percevoir · Issue';
  button.disabled = true;
  call('GET', `/services/${alarm.service}/agents`).then((agents) => {
    for (const agent of agents) select.add(new Option(`${agent.rank} ${agent.name} (${agent.matricule})`, agent.id));
    button.disabled = agents.length === 0;
  }).catch((error) => say(error.message));
  button.addEventListener('click', () => act(async () => {
    await call('POST', `/cameras/${encodeURIComponent(alarm.camera)}/issue`, { agent: select.value });
    box.remove();
  }));
  box.append(select, button);
}

class Tile {
  constructor(incident) {
    this.element = $('#tile').content.firstElementChild.cloneNode(true);
    this.element.dataset.incident = incident.incident;
    this.element.dataset.camera = incident.camera;
    this.video = $('video', this.element);
    $('.watch', this.element).addEventListener('click', () => this.toggle());
    $('.close', this.element).addEventListener('click', () => {
      if (confirm("Clore l'incident ? L'enregistrement s'arrête. · Close the incident?")) act(() => this.close());
    });
    $('.confirm', this.element).addEventListener('click', () => act(() => call('POST', `/incidents/${this.incident.incident}/confirmation`)));
    $('.declare', this.element).addEventListener('click', () => this.declare());
    $('.end-threat', this.element).addEventListener('click', () => act(() => call('DELETE', `/incidents/${this.incident.incident}/threat`)));
    $('#wall').append(this.element);
  }
  update(incident) {
    this.incident = incident;
    const e = this.element;
    e.classList.toggle('threat', Boolean(incident.threat));
    e.classList.toggle('not-recorded', incident.notRecorded);
    $('.agent', e).textContent = `${incident.agent} (${incident.matricule})`;
    const parts = [incident.camera, `depuis ${legalTime(incident.openedAt)}`, incident.notRecorded ? 'NON ENREGISTRÉ · not being recorded' : incident.streaming ? 'enregistre' : 'liaison perdue, en attente'];
    if (incident.reference) parts.push(`intervention ${incident.reference}`);
    parts.push(`${incident.watchers} consultation(s)`);
    if (incident.overdue) parts.push('ouvert depuis plus de 4 h : à confirmer ou à clore');
    $('.facts', e).textContent = parts.join(' · ');
    $('.threat', e).textContent = incident.threat ? `MENACE DÉCLARÉE : ${incident.threatGround}` : '';
    $('.confirm', e).hidden = !incident.overdue;
    $('.declare', e).hidden = Boolean(incident.threat);
    $('.end-threat', e).hidden = !incident.threat;
    if (!incident.threat && this.player) this.player.finish('Menace levée : direct terminé · live ended');
  }
  message(text) { const m = $('.message', this.element); m.textContent = text; }
  toggle() {
    if (this.player) { this.player.stop(); return; }
    const button = $('.watch', this.element);
    button.textContent = 'Quitter le direct · Leave';
    const player = new LivePlayer(this.video, this.incident.recording, (text) => this.message(text), (code) => {
      if (code) this.element.dataset.refusal = code;
      if (this.player === player) this.player = null;
      button.textContent = 'Voir le direct · Watch';
    });
    delete this.element.dataset.refusal;
    this.player = player;
    player.start();
  }
  declare() {
    const dialog = $('#declare');
    dialog.returnValue = '';
    dialog.onclose = () => {
      if (dialog.returnValue !== 'go') return;
      const form = new FormData($('form', dialog));
      act(() => call('POST', `/incidents/${this.incident.incident}/threat`, { ground: form.get('ground'), reason: form.get('reason') }));
    };
    dialog.showModal();
  }
  async close() {
    const { incident, recording } = this.incident;
    await call('POST', `/incidents/${incident}/close`);
    const dialog = $('#closing');
    $('form', dialog).reset();
    dialog.returnValue = '';
    dialog.onclose = () => {
      if (dialog.returnValue !== 'go') return;
      const form = new FormData($('form', dialog));
      const answers = {};
      if (form.get('place')) answers.place = form.get('place');
      if (form.get('informed')) answers.informed = form.get('informed') === 'yes';
      if (form.get('reason')) answers.notInformedReason = form.get('reason');
      if (form.get('medical')) answers.medicalSecret = true;
      act(() => call('POST', `/recordings/${recording}/closing`, answers));
    };
    dialog.showModal();
  }
  remove() { if (this.player) this.player.stop(); this.element.remove(); }
}

$('#login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  $('#login-error').textContent = '';
  const credentials = { name: form.get('name'), password: form.get('password') };
  if (form.get('code')) credentials.code = form.get('code');
  try { await enter(await call('POST', '/session', credentials)); event.target.reset(); $('#code').hidden = true; }
  catch (error) {
    $('#login-error').textContent = error.message;
    if (error.code === 'code-required') { $('#code').hidden = false; $('#code input').focus(); }
  }
});
$('#second-factor').addEventListener('submit', async (event) => {
  event.preventDefault();
  $('#factor-error').textContent = '';
  try {
    const { recoveryCodes } = await call('PUT', '/session/second-factor', { code: new FormData(event.target).get('code') });
    event.target.reset();
    event.target.hidden = true;
    $('#factor-secret').textContent = ''; $('#factor-uri').removeAttribute('href');
    $('#recovery-codes').replaceChildren(...recoveryCodes.map((code) => { const item = document.createElement('li'); item.textContent = code; return item; }));
    $('#recovery').hidden = false;
  } catch (error) { $('#factor-error').textContent = error.message; }
});
$('#recovery-done').addEventListener('click', () => { $('#recovery-codes').replaceChildren(); $('#recovery').hidden = true; follow(); });
call('GET', '/session/ways').then((ways) => { $('#provider').hidden = !ways.provider; }).catch(() => {});
$('#logout').addEventListener('click', () => act(async () => { await call('DELETE', '/session'); leave(); }));
call('GET', '/session').then(enter).catch(leave);
