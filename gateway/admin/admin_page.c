/* SPDX-License-Identifier: Apache-2.0
 * The page: one HTML document without anything from elsewhere. It shows what /v1/status and /metrics say, read only,
 * with the user and password the browser already has. Everything is put in as text, never as markup, and a content
 * security policy with a nonce allows this script and style alone. */
#include "acl/acl_base64.h"
#include "core/base/env.h"
#include "gateway/admin/admin_request.h"

#include <stdio.h>

enum { NONCE_BYTES = 16, NONCE_TEXT = 32 };

static const char head[] = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Castellan</title>"
                           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">";

static const char style[] =
    "body{font:15px/1.45 system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1c2430}"
    "header{background:#1c2430;color:#fff;padding:14px 24px;display:flex;gap:16px;align-items:baseline}"
    "header h1{font-size:20px;margin:0}main{padding:20px 24px;display:grid;gap:16px;"
    "grid-template-columns:repeat(auto-fit,minmax(340px,1fr))}"
    "section{background:#fff;border:1px solid #dde1e7;border-radius:6px;padding:14px 18px;min-width:0}"
    "section.wide{grid-column:1/-1}h2{font-size:15px;margin:0 0 8px}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;padding:3px 8px 3px 0;border-bottom:1px solid #eef0f3;overflow-wrap:anywhere;"
    "vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".ok{color:#137333}.bad{color:#b3261e}input{font:inherit;padding:4px 8px;margin-bottom:8px;width:100%;"
    "box-sizing:border-box}@media(prefers-color-scheme:dark){body{background:#12161c;color:#e4e8ee}"
    "section{background:#1b212a;border-color:#2d3541}td,th{border-color:#262d38}.ok{color:#6dd58c}.bad{color:#f2b8b5}}";

static const char content[] =
    "<header><h1>Castellan</h1><span id=\"state\">asking\xe2\x80\xa6</span></header><main>"
    "<section><h2>Parts</h2><table id=\"parts\"></table></section>"
    "<section><h2>Gateway</h2><table id=\"gateway\"></table></section>"
    "<section><h2>Nodes behind</h2><table id=\"nodes\"></table></section>"
    "<section><h2>Tables read up to</h2><table id=\"tables\"></table></section>"
    "<section class=\"wide\"><h2>Key process</h2><table id=\"keyd\"></table></section>"
    "<section class=\"wide\"><h2>Metrics</h2><input id=\"filter\" placeholder=\"filter by name\">"
    "<table id=\"metrics\"></table></section></main>";

static const char script[] =
    "'use strict';const $=i=>document.getElementById(i);"
    "function rows(id,list){const t=$(id);t.replaceChildren(...list.map(r=>{const tr=document.createElement('tr');"
    "r.forEach(c=>{const td=document.createElement('td');const o=typeof c==='object'&&c!==null?c:{t:c};"
    "td.textContent=String(o.t);if(o.c)td.className=o.c;tr.append(td)});return tr}))}"
    "function flat(o,p,out){for(const[k,v]of Object.entries(o||{})){const n=p?p+'.'+k:k;"
    "if(v&&typeof v==='object')flat(v,n,out);else out.push([n,{t:v,c:'n'}])}return out}"
    "let metrics=[];function showMetrics(){const f=$('filter').value;"
    "rows('metrics',metrics.filter(m=>m[0].includes(f)).map(m=>[m[0],{t:m[1],c:'n'}]))}"
    "async function get(u){const r=await fetch(u,{credentials:'same-origin',cache:'no-store'});return r}"
    "async function tick(){try{const r=await get('/v1/status'),s=await r.json();"
    "if(!r.ok){$('state').textContent=s.message;$('state').className='bad'}else{"
    "$('state').textContent=s.ready?'ready':'not ready';$('state').className=s.ready?'ok':'bad';"
    "rows('parts',Object.entries(s.parts).map(([k,v])=>[k,{t:v.ready?'ready':'not ready',c:v.ready?'ok':'bad'},"
    "v.detail||'']));"
    "rows('gateway',[['version',s.version],['cluster',s.cluster_id],['sessions',s.workers.reduce((a,w)=>a+w.sessions,0)"
    "+' on '+s.workers.length+' workers'],...flat(s.counts,'',[])]);"
    "rows('nodes',s.nodes.map(n=>['node '+n.id,n.host+':'+n.port,'place '+n.place,"
    "{t:n.state,c:n.state==='answers'?'ok':'bad'}]).concat(s.problems.map(p=>[{t:p,c:'bad'}])));"
    "rows('tables',flat(s.tables,'',[]));"
    "rows('keyd',s.keyd?flat(s.keyd,'',[]):[['not configured','']])}"
    "const m=await(await get('/metrics')).text();"
    "metrics=m.split('\\n').filter(l=>l&&l[0]!=='#'&&!l.includes('_bucket')).map(l=>{const i=l.lastIndexOf(' ');"
    "return[l.slice(0,i),l.slice(i+1)]});showMetrics()}"
    "catch(e){$('state').textContent='no answer';$('state').className='bad'}}"
    "$('filter').addEventListener('input',showMetrics);tick();setInterval(tick,5000);";

void admin_get_page(struct admin_request *r)
{
    struct env *env = env_system();
    uint8_t bytes[NONCE_BYTES];
    struct buf nonce;

    buf_init(&nonce, NONCE_TEXT);
    env->random(env, bytes, sizeof bytes);
    base64_put(&nonce, slice_of(bytes, sizeof bytes));
    snprintf(r->csp, sizeof r->csp,
             "default-src 'none'; connect-src 'self'; script-src 'nonce-%s'; style-src 'nonce-%s'; base-uri 'none'; "
             "form-action 'none'; frame-ancestors 'none'",
             buf_cstr(&nonce), buf_cstr(&nonce));
    r->content_type = "text/html; charset=utf-8";
    r->status = 200;
    buf_put_str(&r->out, head);
    buf_printf(&r->out, "<style nonce=\"%s\">", buf_cstr(&nonce));
    buf_put_str(&r->out, style);
    buf_put_str(&r->out, "</style></head><body>");
    buf_put_str(&r->out, content);
    buf_printf(&r->out, "<script nonce=\"%s\">", buf_cstr(&nonce));
    buf_put_str(&r->out, script);
    buf_put_str(&r->out, "</script></body></html>");
    buf_free(&nonce);
}
