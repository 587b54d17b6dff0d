// A script of 40 actions per client, straight to the browser and through the sidecar, in turns.
//
//     node actions.mjs MODULES ROUNDS DIRECT SIDECAR
//
// MODULES is the folder in which the npm packages of tests/clients/node are installed; DIRECT and SIDECAR are base URLs of
// endpoints of one browser. Prints a line of JSON for each client: the median time of a script in milliseconds, both ways.

import { createRequire } from 'node:module'
import { join } from 'node:path'

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

const median = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)]

for (const [client, script] of Object.entries({ 'playwright-core': playwright, 'puppeteer-core': puppeteer })) {
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
