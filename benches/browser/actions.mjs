// A script of 40 actions per client, straight to the browser and through the sidecar, in turns.
//
//     node actions.mjs MODULES ROUNDS DIRECT SIDECAR
//
// MODULES is the folder in which the npm packages of tests/clients/node are installed; DIRECT and SIDECAR are base URLs of
// endpoints of one browser. Prints a line of JSON for each client: the median time of a script in milliseconds, both ways.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [modules, rounds, direct, sidecar] = process.argv.slice(2)
const require = createRequire(join(modules, 'package.json'))

const HTML = `<title>Shop</title><input id=name><input id=search><textarea id=note></textarea>
  <select id=size><option>S<option>M<option>L</select><input id=agree type=checkbox><button id=send
  onclick="out.textContent = [document.querySelector('#name').value, size.value, agree.checked].join(' ')">Send</button>
  <p id=out></p><ul>${'<li>An item of the list</li>'.repeat(50)}</ul>`
const PAGE = `data:text/html,${encodeURIComponent(HTML)}`

async function playwright(url) {
  const { chromium } = require('playwright-core')
  const browser = await chromium.connectOverCDP(url)
  const context = await browser.newContext()
  const page = await context.newPage()
  const begun = performance.now()
  for (let turn = 0; turn < 4; turn++) {
    await page.goto(PAGE)
    await page.fill('#name', `a name ${turn}`)
    await page.locator('#search').pressSequentially('item')
    await page.fill('#note', 'some lines of a note')
    await page.selectOption('#size', 'M')
    await page.check('#agree')
    await page.click('#send')
    await page.textContent('#out')
    await page.evaluate(() => document.querySelectorAll('li').length)
    await page.title()
  }
  const took = performance.now() - begun
  await context.close()
  await browser.close()
  return took
}

async function puppeteer(url) {
  const { connect } = require('puppeteer-core')
  const browser = await connect({ browserURL: url, defaultViewport: null })
  const page = await browser.newPage()
  const begun = performance.now()
  for (let turn = 0; turn < 4; turn++) {
    await page.goto(PAGE)
    await page.type('#name', `a name ${turn}`)
    await page.type('#search', 'item')
    await page.type('#note', 'some lines')
    await page.select('#size', 'M')
    await page.click('#agree')
    await page.click('#send')
    await page.$eval('#out', (out) => out.textContent)
    await page.evaluate(() => document.querySelectorAll('li').length)
    await page.title()
  }
  const took = performance.now() - begun
  await page.close()
  await browser.disconnect()
  return took
}

// An MCP server, spoken to as agents do; what a tool answers is text.
async function server(url, program, ...options) {
  const load = (path) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${path}`)))
  const { Client } = await load('client/index.js')
  const { StdioClientTransport } = await load('client/stdio.js')
  const args = [join(modules, 'node_modules', program), ...options, url]
  const client = new Client({ name: 'bauta-bench', version: '1' })
  await client.connect(new StdioClientTransport({ command: process.execPath, args, env: process.env, stderr: 'ignore' }))
  async function call(name, given = {}) {
    const answer = await client.callTool({ name, arguments: given })
    const text = answer.content.map((part) => part.text ?? '').join('\n')
    if (answer.isError) throw new Error(`${name}: ${text}`)
    return text
  }
  return { client, call }
}

async function playwrightMcp(url) {
  const { client, call } = await server(url, '@playwright/mcp/cli.js', '--cdp-endpoint')
  await call('browser_tabs', { action: 'new' })
  const begun = performance.now()
  for (let turn = 0; turn < 4; turn++) {
    await call('browser_navigate', { url: PAGE })
    await call('browser_snapshot')
    await call('browser_type', { element: 'name', target: '#name', text: `a name ${turn}` })
    await call('browser_type', { element: 'search', target: '#search', text: 'item', slowly: true })
    await call('browser_type', { element: 'note', target: '#note', text: 'some lines of a note' })
    await call('browser_select_option', { element: 'size', target: '#size', values: ['M'] })
    await call('browser_click', { element: 'agree', target: '#agree' })
    await call('browser_click', { element: 'send', target: '#send' })
    await call('browser_evaluate', { function: "() => document.querySelector('#out').textContent" })
    await call('browser_find', { text: 'item' })
  }
  const took = performance.now() - begun
  await call('browser_tabs', { action: 'close' })
  await client.close()
  return took
}

async function devtoolsMcp(url) {
  const program = 'chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js'
  const { client, call } = await server(url, program, '--no-usage-statistics', '--no-performance-crux', '--browserUrl')
  const opened = await call('new_page', { url: 'about:blank' })
  const page = { pageId: Number(/^(\d+): .*\[selected\]/m.exec(opened)[1]) }
  const begun = performance.now()
  for (let turn = 0; turn < 4; turn++) {
    await call('navigate_page', { ...page, url: PAGE })
    const seen = await call('take_snapshot', page)
    const [name, search, note] = [...seen.matchAll(/uid=(\S+) textbox/g)].map(([, uid]) => uid)
    const uid = (role) => new RegExp(`uid=(\\S+) ${role}`).exec(seen)[1]
    await call('fill', { ...page, uid: name, value: `a name ${turn}` })
    await call('click', { ...page, uid: search })
    await call('type_text', { ...page, text: 'item' })
    await call('fill', { ...page, uid: note, value: 'some lines of a note' })
    await call('fill', { ...page, uid: uid('combobox'), value: 'M' })
    await call('click', { ...page, uid: uid('checkbox') })
    await call('click', { ...page, uid: uid('button') })
    await call('evaluate_script', { ...page, function: "() => document.querySelector('#out').textContent" })
  }
  const took = performance.now() - begun
  await call('close_page', page)
  await client.close()
  return took
}

const median = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)]

const SCRIPTS = {
  'playwright-core': playwright,
  'puppeteer-core': puppeteer,
  '@playwright/mcp': playwrightMcp,
  'chrome-devtools-mcp': devtoolsMcp,
}

for (const [client, script] of Object.entries(SCRIPTS)) {
  const times = { direct: [], sidecar: [] }
  await script(direct)
  await script(sidecar)
  for (let round = 0; round < Number(rounds); round++) {
    times.direct.push(await script(direct))
    times.sidecar.push(await script(sidecar))
  }
  console.log(JSON.stringify({ client, direct: median(times.direct), sidecar: median(times.sidecar) }))
}
process.exit(0)
