# SPDX-License-Identifier: MIT
"""Chromium, driven by its own driver over the WebDriver protocol (W3C) and the protocol of its
developer tools behind it: what a test of a page needs of them, with the standard library only.

    with Browser() as browser:
        browser.open('http://127.0.0.1:8080/')
        browser.script('return document.title')
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ANSWER_S = 120          # for what takes a second; more only shows that it never comes


class BrowserError(Exception):
    pass


def missing():
    """What is not installed, as a sentence; None if all is there."""
    lacking = [name for name in ('chromium', 'chromedriver') if not shutil.which(name)]
    return f"{' and '.join(lacking)} missing: tools/install-deps --test" if lacking else None


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix='provium-browser.')
        self.session = None
        # A group of its own: what it starts ends with it.
        self.driver = subprocess.Popen(
            ['chromedriver', '--port=0', '--log-level=SEVERE'], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
            env={**os.environ, 'HOME': self.home, 'TMPDIR': self.home})
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _begin(self):
        for line in self.driver.stdout:
            found = re.search(r'successfully on port (\d+)', line)
            if found:
                self.url = f'http://127.0.0.1:{found[1]}/session'
                break
        else:
            raise BrowserError('chromedriver did not start')
        arguments = ['--headless=new', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars',
                     '--no-first-run', '--disable-background-networking', '--disable-component-update',
                     '--disable-extensions', '--no-proxy-server', '--lang=en', '--window-size=1280,800',
                     f'--user-data-dir={self.home}/profile']
        if os.geteuid() == 0:
            arguments.append('--no-sandbox')    # Chromium's own cannot be had by root
        answer = self._ask('POST', self.url, {'capabilities': {'alwaysMatch': {
            'browserName': 'chrome',
            'goog:chromeOptions': {'args': arguments, 'binary': shutil.which('chromium')},
            'goog:loggingPrefs': {'browser': 'ALL'}}}})
        self.session = f"{self.url}/{answer['sessionId']}"

    def close(self):
        if self.session:
            try:
                self._ask('DELETE', self.session)
            except (BrowserError, OSError):
                pass
            self.session = None
        try:
            os.killpg(self.driver.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.driver.wait()
        self.driver.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def _ask(method, url, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {'Content-Type': 'application/json'}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            value = json.load(error)['value']
            raise BrowserError(f"{value['error']}: {value['message'][:600]}") from None

    def command(self, name, **parameters):
        """One of the developer tools' protocol: 'Emulation.setEmulatedMedia'."""
        return self._ask('POST', f'{self.session}/goog/cdp/execute', {'cmd': name, 'params': parameters})

    def open(self, url):
        self._ask('POST', f'{self.session}/url', {'url': url})

    def script(self, text, *arguments):
        return self._ask('POST', f'{self.session}/execute/sync', {'script': text, 'args': list(arguments)})

    def later(self, text, *arguments):
        """A script that ends by calling its last argument."""
        return self._ask('POST', f'{self.session}/execute/async', {'script': text, 'args': list(arguments)})

    def until(self, text, *arguments, seconds=60):
        """Waits until the script's value is true, and returns that; None when the time is up."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.script(text, *arguments)
            if value:
                return value
            if time.monotonic() > deadline:
                return None
            time.sleep(0.1)

    def keys(self, *keys):
        """Pressed one after the other, wherever the focus is."""
        actions = [{'type': kind, 'value': key} for key in keys for kind in ('keyDown', 'keyUp')]
        self._ask('POST', f'{self.session}/actions', {'actions': [{'type': 'key', 'id': 'keys', 'actions': actions}]})

    def log(self):
        """What was written to the console since the last call: faults, refusals of the policy."""
        return self._ask('POST', f'{self.session}/se/log', {'type': 'browser'})

    def look(self, width, height, scheme):
        self.command('Emulation.setDeviceMetricsOverride', width=width, height=height,
                     deviceScaleFactor=1, mobile=width < 600)
        self.command('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])

    def picture(self, path, whole=False):
        """A PNG of what is seen, or of the whole page."""
        data = self.command('Page.captureScreenshot', format='png', captureBeyondViewport=whole)['data']
        with open(path, 'wb') as file:
            file.write(base64.b64decode(data))
