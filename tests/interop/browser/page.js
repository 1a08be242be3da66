// A page with a SIP phone. It is told what to do by `window.phone` and tells what happened by
// `window.report`.
import JsSIP from "jssip";

let agent;
let session;

// A browser's peer connection that has no media of its own: it offers RTP, and answers RTP or SRTP
// by SDES as it was offered, which is all that a call's signalling needs.
class SignallingOnly extends EventTarget {
  constructor() {
    super();
    this.iceGatheringState = "complete";
    this.iceConnectionState = "connected";
    this.connectionState = "connected";
    this.signalingState = "stable";
    this.localDescription = null;
    this.remoteDescription = null;
  }
  async createOffer() { return { type: "offer", sdp: description("RTP/AVP") }; }
  async createAnswer() {
    const secure = this.remoteDescription.sdp.includes("RTP/SAVP ");
    return { type: "answer", sdp: description(secure ? "RTP/SAVP" : "RTP/AVP") };
  }
  async setLocalDescription(description) { this.localDescription = description; }
  async setRemoteDescription(description) { this.remoteDescription = description; }
  getSenders() { return []; }
  getReceivers() { return []; }
  getTransceivers() { return []; }
  addTrack() {}
  close() {}
}

function description(profile) {
  const key = btoa("thirty bytes that are a key, ok");
  const keys = [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key.slice(0, 40)}`];
  return [
    "v=0", "o=- 1 1 IN IP4 203.0.113.77", "s=-", "c=IN IP4 203.0.113.77", "t=0 0",
    `m=audio 40000 ${profile} 0 8`, "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=sendrecv",
    ...(profile === "RTP/SAVP" ? keys : []), "",
  ].join("\r\n");
}

function watch(newSession) {
  session = newSession;
  session.on("progress", (e) => window.report("progress", e.originator));
  session.on("accepted", (e) => window.report("accepted", e.originator));
  session.on("confirmed", (e) => window.report("confirmed", e.originator));
  session.on("ended", (e) => window.report("ended", e.originator, e.cause));
  session.on("failed", (e) =>
    window.report("failed", e.originator, e.cause, String(e.message?.status_code ?? "")));
}

window.phone = {
  start({ url, uri, password, medialess }) {
    if (medialess) window.RTCPeerConnection = SignallingOnly;
    agent = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(url)],
      uri, password, register: true, register_expires: 300, session_timers: false,
    });
    agent.on("connected", () => window.report("connected"));
    agent.on("disconnected", (e) => window.report("disconnected", String(e.code ?? "")));
    agent.on("registered", () => window.report("registered"));
    agent.on("unregistered", () => window.report("unregistered"));
    agent.on("registrationFailed", (e) => window.report("registrationFailed", e.cause));
    agent.on("newRTCSession", (e) => {
      if (e.originator !== "remote") return;
      watch(e.session);
      window.report("incoming", e.session.remote_identity.uri.user);
    });
    agent.start();
  },
  call({ target, medialess }) {
    const none = { audio: false, video: false };
    const options = medialess ? { mediaConstraints: none } : { mediaConstraints: { audio: true } };
    watch(agent.call(target, options));
  },
  answer({ medialess }) {
    session.answer({ mediaConstraints: { audio: !medialess, video: false } });
  },
  hangUp() { session.terminate(); },
  unregister() { agent.unregister(); },
};
