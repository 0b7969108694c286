# SPDX-License-Identifier: MIT
"""The dashboard as a person meets it: Chromium, without a window, against a broker in the rig that
runs VMs. What the page shows is compared with what /resources says before and after; nothing is
made up for the page. Pictures go to artefacts/ of the build."""

import decimal
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

SOURCE = os.environ['PROVIUM_SOURCE']
BUILD = os.environ['PROVIUM_BUILD']
sys.path.insert(0, f'{SOURCE}/tests/support')
import browser as browsers      # noqa: E402

WAIT_S = 60         # for what takes a second; more only shows that it never comes
ARTEFACTS = os.environ.get('PROVIUM_ARTEFACTS', f'{BUILD}/artefacts')


class Failed(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Failed(text)


def need_same(is_, wanted, what):
    need(is_ == wanted, f'{what} is {is_!r}, not {wanted!r}')


# ---- the rig ----

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Rig:
    def __init__(self):
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        environment = []
        for variable in ('PROVIUM_SOURCE', 'PROVIUM_BUILD', 'PROVIUM_HELPERS'):
            environment += ['--env', variable]
        self.process = subprocess.Popen(
            [f'{SOURCE}/tests/rig/rig', '--stdin', '--mem', '1G', '--timeout', '280',
             '--forward', f'{self.port}:8080', *environment, '--', 'bash',
             f'{SOURCE}/tests/system/libdashboard.sh'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            bufsize=1, cwd=SOURCE)
        self.lines = queue.Queue()
        threading.Thread(target=self.relay, daemon=True).start()
        self.read_until('ready')

    def relay(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def read_until(self, word):
        text = ''
        while True:
            try:
                line = self.lines.get(timeout=WAIT_S)
            except queue.Empty:
                raise Failed(f'the guest says no "{word}", but:\n{text}') from None
            if line is None:
                self.lines.put(None)
                raise Failed(f'the rig ended before "{word}":\n{text}')
            if line.startswith(word):
                return line.split()
            text += line

    def run(self, line, status=0):
        """A line for the guest's shell."""
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        need_same(int(self.read_until('done')[1]), status, f'the status of "{line}"')

    def ask(self, path, method='GET', **headers):
        """Status, headers and body."""
        request = urllib.request.Request(self.url + path, method=method,
                                         headers={k.replace('_', '-'): v for k, v in headers.items()})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=WAIT_S) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, path):
        status, _, body = self.ask(path)
        need_same(status, 200, f'the status of {path}')
        return json.loads(body)

    def close(self):
        self.process.terminate()
        self.process.wait()


# ---- the page ----

# What the page says in numbers: of each resource, and of each VM.
READ_PAGE = '''
    const value = (node) => node && node.value !== '' ? Number(node.value) : null;
    const cards = {}, vms = {};
    for (const card of document.querySelectorAll('.card')) {
        const is = cards[card.dataset.resource] = {};
        for (const data of card.querySelectorAll('data'))
            is[data.dataset.what] = [value(data), data.textContent];
    }
    for (const row of document.querySelectorAll('#vms-table tbody tr')) {
        const is = vms[row.querySelector('th').textContent] = {};
        for (const data of row.querySelectorAll('data'))
            is[data.dataset.what] = [value(data), data.textContent];
    }
    return { cards, vms, count: document.getElementById('vms-count').textContent,
             updated: Date.parse(document.getElementById('updated').dateTime) };
'''


def size(n):
    return scaled(n, 1024, ('B', 'KiB', 'MiB', 'GiB', 'TiB'))


def rate(n):
    return scaled(n, 1000, ('B/s', 'kB/s', 'MB/s', 'GB/s'))


def scaled(n, base, units):
    unit = 0
    while n >= base and unit < len(units) - 1:
        n, unit = n / base, unit + 1
    return f'{rounded(n, 0 if n >= 100 else 1 if n >= 10 else 2)} {units[unit]}'


def cpus(n):
    return rounded(n / 1000, 2)


def rounded(n, places):
    """As a browser rounds: the exact value of the fraction, and up in the middle."""
    exact = decimal.Decimal(n).quantize(decimal.Decimal(1).scaleb(-places), decimal.ROUND_HALF_UP)
    return f'{float(exact):g}'


FORMATS = {'cpu': cpus, 'memory': size, 'disk': size, 'disk_io': rate, 'network': rate,
           'network_upload': rate, 'gpu': str}
CARD_VALUES = ('allocated', 'effective_limit', 'guaranteed', 'available', 'capacity')


def page_of(resources):
    """What the page must say when /resources says this: numbers, and their words."""
    cards = {}
    for name, form in FORMATS.items():
        resource = resources.get(name)
        if resource and (resource['capacity'] or resource['allocated'] or resource['source'] == 'unknown'):
            cards[name] = {what: [resource[what], form(resource[what])] for what in CARD_VALUES}
    vms = {}
    for vm in resources['allocations']:
        cpu = round(vm['cpu'] * 1000)
        vms[vm['instance_name']] = {
            'cpu': [cpu, cpus(cpu)], 'memory': [vm['memory_bytes'], size(vm['memory_bytes'])],
            'disk_io': [vm['disk_io_bps'], rate(vm['disk_io_bps'])],
            'download': [vm['network_download_bps'], rate(vm['network_download_bps'])],
            'upload': [vm['network_upload_bps'], rate(vm['network_upload_bps'])]}
    return {'cards': cards, 'vms': vms, 'count': str(len(vms))}


def shown(page):
    """The same of what the page says, without what is used."""
    return {
        'cards': {name: {what: v for what, v in card.items() if what != 'used'}
                  for name, card in page['cards'].items()},
        'vms': {name: {what: v for what, v in vm.items() if not what.endswith('_used')}
                for name, vm in page['vms'].items()},
        'count': page['count']}


def first_difference(a, b, at=''):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if a.get(key) != b.get(key):
                return first_difference(a.get(key), b.get(key), f'{at}/{key}')
    return f'{at}: the page says {a!r}, /resources {b!r}'


class Test:
    def __init__(self, rig, browser):
        self.rig, self.browser = rig, browser

    def await_(self, text, script, *arguments):
        need(self.browser.until(script, *arguments, seconds=WAIT_S), text)

    def await_update(self):
        """Until the page has asked anew after now: page and we are of one machine and its clock."""
        now = time.time() * 1000
        self.await_('the page asks no more',
                    'return Date.parse(document.getElementById("updated").dateTime) > arguments[0]', now)

    def quiet_log(self, allowed=()):
        """Nothing was written to the console, nor refused by the policy."""
        for entry in self.browser.log():
            if not any(text in entry['message'] for text in allowed):
                raise Failed(f"the console says: {entry['level']} {entry['message']}")
        need_same(self.browser.script('return window.violations'), [], 'what the policy refused')

    def agree(self):
        before = page_of(self.rig.json('/resources'))
        self.await_update()
        page = shown(self.browser.script(READ_PAGE))
        after = page_of(self.rig.json('/resources'))
        need(page in (before, after), first_difference(page, after))

    # ---- the sentences ----

    def the_page_comes_with_a_strict_policy_and_is_kept_by_its_digest(self):
        paths = ['/', *(f'/dashboard/{name}' for name in os.listdir(f'{SOURCE}/broker/dashboard')
                        if name != 'index.html')]
        for path in paths:
            status, headers, body = self.rig.ask(path)
            need_same(status, 200, f'the status of {path}')
            policy = headers['Content-Security-Policy']
            need(policy.startswith("default-src 'none'") and 'unsafe' not in policy, f'{path}: {policy}')
            name = 'index.html' if path == '/' else path.split('/')[-1]
            with open(f'{SOURCE}/broker/dashboard/{name}', 'rb') as file:
                need(body == file.read(), f'{path} is not the file')
            need(b'://' not in body.replace(b'http://www.w3.org/2000/svg', b''), f'{path} names another host')
            status, _, body = self.rig.ask(path, If_None_Match=headers['ETag'])
            need_same((status, body), (304, b''), f'{path}, which the browser has')
            status, _, body = self.rig.ask(path, method='HEAD')
            need_same((status, body), (200, b''), f'the head of {path}')

    def it_opens_without_an_error_and_is_live(self):
        self.browser.open(self.rig.url + '/')
        self.await_('it is not live', 'return document.getElementById("connection").dataset.state === "live"')
        self.await_update()
        self.quiet_log()
        foreign = self.browser.script(
            'return performance.getEntriesByType("resource").map(e => e.name)'
            '.filter(n => !n.startsWith(location.origin))')
        need_same(foreign, [], 'what it loads from elsewhere')

    def its_numbers_are_those_of_resources(self):
        self.agree()

    def a_vm_that_starts_and_ends_is_seen_without_reloading(self):
        self.rig.run('vm spins --cpus 0.5 --mem 32M -- vm spin')
        self.await_('no row for the VM', 'return document.querySelector("#vms-table tbody tr th")?.textContent === "spins"')
        self.await_('no event of its start', 'return document.querySelector("#events [data-kind=vm_spawned]")')
        self.rig.run('vm eats --mem 64M -- vm eat 40')
        self.agree()
        used = '''
            const row = [...document.querySelectorAll("#vms-table tbody tr")].find(r => r.querySelector("th").textContent === arguments[0]);
            return Number(row?.querySelector(`[data-what=${arguments[1]}]`).value) > arguments[2];'''
        self.await_('what it uses of its CPU is not seen', used, 'spins', 'cpu_used', 100)
        self.await_('what it holds of its memory is not seen', used, 'eats', 'memory_used', 40 << 20)
        used = self.browser.script(READ_PAGE)['vms']
        need(used['spins']['cpu_used'][0] <= 700, f"spins uses {used['spins']['cpu_used']} of 500")
        need(used['eats']['memory_used'][0] <= 64 << 20, f"eats holds {used['eats']['memory_used']} of 64 MiB")
        self.rig.run('vm short -- vm rest')
        self.await_('no third row', 'return document.querySelectorAll("#vms-table tbody tr").length === 3')
        self.rig.run('provium kill short >/dev/null')
        self.await_('the row stays', 'return document.querySelectorAll("#vms-table tbody tr").length === 2')
        self.await_('no event of its end', 'return document.querySelector("#events [data-kind=claim_released]")')
        self.agree()
        self.quiet_log()

    def who_waits_is_shown_with_the_reason(self):
        self.rig.run('provium run --slice t --name waits --mem 390M -- vm rest >/dev/null 2>&1 & waiter=$!')
        self.await_('nobody is shown to wait', 'return document.querySelector("#queue .reason")?.textContent === "pool_full"')
        text = self.browser.script('return document.querySelector("#queue li").innerText')
        wanted = self.rig.json('/queue')['first'][0]
        for part in ('waits', wanted['detail']):
            need(part in text, f"'{part}' is not in: {text}")
        need_same(self.browser.script('return document.getElementById("queue-count").textContent'), '1', 'the count')
        self.rig.run('kill -TERM $waiter; wait $waiter || true')
        self.await_('it is still shown', 'return document.getElementById("queue-none").innerText === "Nobody waits."')

    def the_charts_end_with_what_history_says(self):
        self.await_('no chart is drawn', 'return document.querySelectorAll(".chart svg path").length >= 5')
        # The highest of a step: that of the VM that has just ended, until the next one.
        deadline = time.monotonic() + WAIT_S
        while (history := self.rig.json('/history'))['sold']['memory'][-1] != 96 << 20:
            need(time.monotonic() < deadline, f"sold: {history['sold']['memory'][-5:]}")
            time.sleep(1)
        need_same(history['sold']['cpu'][-1], 600, 'the CPUs sold')
        need((history['used']['cpu'][-1] or 0) > 100, f"used: {history['used']['cpu'][-5:]}")
        self.await_('the chart does not say so', '''
            const text = document.querySelector("[data-chart=memory] .legend").textContent;
            return text.includes("sold 96 MiB");''')

    def texts_of_others_stay_texts(self):
        title = self.browser.script('return document.title')
        need_same(title, 'Provium Broker', 'the title')
        made = self.browser.script('''
            const names = [...document.querySelectorAll("#slices-table bdi")].map(n => n.title);
            return [names.some(n => n.includes("<script>document.title=2</script>")),
                    document.querySelectorAll("main img, main script").length];''')
        need_same(made, [True, 0], 'the description as text, and elements out of it')

    def keys_sort_the_table_and_read_the_charts(self):
        order = 'return [...document.querySelectorAll("#vms-table tbody th")].map(n => n.textContent)'
        self.browser.script('document.querySelectorAll("#vms-table thead button")[4].focus()')
        self.browser.keys('\ue007')             # Enter: by memory, the largest first
        need_same(self.browser.script(order), ['eats', 'spins'], 'the order by memory')
        self.browser.keys('\ue007')
        need_same(self.browser.script(order), ['spins', 'eats'], 'the order, turned around')
        need_same(self.browser.script('return document.querySelector("#vms-table [aria-sort]").getAttribute("aria-sort")'),
                  'ascending', 'what a screen reader is told')
        self.browser.script('document.querySelector("[data-chart=cpu]").focus()')
        self.browser.keys('\ue012')             # left
        read = self.browser.script('return document.querySelector("[data-chart=cpu] .read").textContent')
        need('sold 0.6' in read, f'the chart reads "{read}"')
        self.browser.script('const f = document.getElementById("vms-filter"); f.focus()')
        self.browser.keys('e', 'a', 't')
        need_same(self.browser.script(order), ['eats'], 'what the filter leaves')
        self.browser.script('const f = document.getElementById("vms-filter"); f.value = ""; f.dispatchEvent(new Event("input"))')

    def everything_has_a_name_and_contrast(self):
        for scheme in ('light', 'dark'):
            self.browser.look(1280, 800, scheme)
            faults = self.browser.script(CONTRAST)
            need_same(faults, [], f'what cannot be read ({scheme})')
        self.browser.command('Accessibility.enable')
        nodes = self.browser.command('Accessibility.getFullAXTree')['nodes']
        nameless = [n['role']['value'] for n in nodes if not n.get('ignored')
                    and n['role']['value'] in ('button', 'combobox', 'searchbox', 'textbox', 'link', 'table', 'image', 'region', 'log', 'heading', 'columnheader')
                    and not n.get('name', {}).get('value')]
        need_same(nameless, [], 'what has no name')
        images = [n['name']['value'] for n in nodes if n['role']['value'] == 'image' and not n.get('ignored')]
        need(any('sold' in name and 'guaranteed' in name for name in images), f'the bars are told as {images}')
        need_same(self.browser.script('return [document.documentElement.lang, document.querySelectorAll("h1").length]'),
                  ['en', 1], 'language and heading')
        self.browser.command('Accessibility.disable')

    def a_phone_shows_all_of_it(self):
        os.makedirs(ARTEFACTS, exist_ok=True)
        self.rig.run('provium run --slice t --name waits --mem 390M -- vm rest >/dev/null 2>&1 & waiter=$!')
        self.await_('nobody is shown to wait', 'return document.querySelector("#queue .reason")')
        for width, height in ((1280, 800), (360, 740)):
            for scheme in ('light', 'dark'):
                self.browser.look(width, height, scheme)
                self.browser.script('scrollTo(0, 0)')
                self.await_update()
                self.await_('it is wider than the screen',
                            'return innerWidth === arguments[0] && document.documentElement.scrollWidth <= innerWidth', width)
                for whole, what in ((False, ''), (True, '-whole')):
                    self.browser.picture(f'{ARTEFACTS}/dashboard-{width}x{height}-{scheme}{what}.png', whole)
        self.rig.run('kill -TERM $waiter; wait $waiter || true')
        self.browser.look(1280, 800, 'light')

    def a_broker_that_is_killed_is_missed_and_found_again(self):
        self.quiet_log()
        self.rig.run('kill_broker')
        self.await_('it is not missed', 'return document.getElementById("connection").dataset.state === "gone"')
        text = self.browser.script('return document.getElementById("connection").innerText + document.getElementById("stale").innerText')
        need('broker gone, trying again' in text and 'does not answer' in text, f'it says: {text}')
        self.browser.picture(f'{ARTEFACTS}/dashboard-gone.png')
        self.rig.run('start_broker')
        self.await_('it is not found again', 'return document.getElementById("connection").dataset.state === "live"')
        self.await_('that something was missed is not said',
                    'return document.querySelector("#events .gap")?.innerText.includes("started anew")')
        self.agree()
        need_same(sorted(self.browser.script(READ_PAGE)['vms']), ['eats', 'spins'], 'the VMs that went on')
        self.rig.run('vm later -- vm rest')
        self.await_('events do not go on', 'return [...document.querySelectorAll("#events [data-kind=vm_spawned]")].some(n => n.innerText.includes("later"))')
        # That nobody answers is the one thing that a browser says by itself.
        self.quiet_log(allowed=('net::ERR_', '502', '503'))

    def a_drained_host_says_so(self):
        self.rig.run('provium drain >/dev/null')
        self.await_('no notice', 'return document.getElementById("notices").innerText.includes("draining")')
        self.rig.run('provium drain --undo >/dev/null')
        self.await_('the notice stays', 'return document.getElementById("notices").innerText === ""')
        self.quiet_log()


# The contrast of each text with what is behind it, by WCAG 2's formula; 4.5 is wanted of all.
CONTRAST = r'''
    const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const colour = (text) => (text.match(/[\d.]+/g) || []).map(Number);
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const c = colour(getComputedStyle(node).backgroundColor);
            if (c.length === 3 || c[3] === 1) return c;
        }
        return [255, 255, 255];
    };
    const faults = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
        const parent = node.parentElement;
        if (!node.data.trim() || !parent.checkVisibility() || parent.closest('noscript')) continue;
        const style = getComputedStyle(parent);
        const c = colour(parent instanceof SVGElement ? style.fill : style.color);
        const pair = [light(c), light(ground(parent))].sort((a, b) => b - a);
        const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
        if (ratio < 4.5) faults.push(`${node.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return [...new Set(faults)].slice(0, 10);
'''

# In this order: each goes on where the one before has left the world.
SENTENCES = [
    'the_page_comes_with_a_strict_policy_and_is_kept_by_its_digest',
    'it_opens_without_an_error_and_is_live',
    'its_numbers_are_those_of_resources',
    'a_vm_that_starts_and_ends_is_seen_without_reloading',
    'who_waits_is_shown_with_the_reason',
    'the_charts_end_with_what_history_says',
    'texts_of_others_stay_texts',
    'keys_sort_the_table_and_read_the_charts',
    'everything_has_a_name_and_contrast',
    'a_phone_shows_all_of_it',
    'a_broker_that_is_killed_is_missed_and_found_again',
    'a_drained_host_says_so',
]


def main():
    why = browsers.missing()
    if why and not os.environ.get('CI'):
        print(f'SKIPPED: {why}')
        return 77
    need(not why, why)
    passed = failed = 0
    rig = None
    try:
        rig = Rig()
        with browsers.Browser() as browser:
            # Told by the page itself, before its first script.
            browser.command('Page.addScriptToEvaluateOnNewDocument', source='''
                window.violations = [];
                addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective + " " + e.blockedURI));''')
            test = Test(rig, browser)
            for sentence in SENTENCES:
                began = time.monotonic()
                try:
                    getattr(test, sentence)()
                except (Failed, browsers.BrowserError, OSError) as error:
                    print(f'  FAILED  {sentence}\n          {error}', flush=True)
                    failed += 1
                    continue
                print(f'  ok      {sentence} ({time.monotonic() - began:.1f} s)', flush=True)
                passed += 1
    finally:
        if rig:
            rig.close()
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return failed > 0


sys.exit(main())
