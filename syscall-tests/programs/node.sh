# node: files, child processes, worker threads, timers, streams
cat > t.js <<'J'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads'); const fs = require('fs'); const cp = require('child_process'); const zlib = require('zlib'); const crypto = require('crypto');
if (!isMainThread) { let s = 0; for (let i = 0; i < workerData; i++) s += i; parentPort.postMessage(s); } else (async () => {
  console.log('sync', cp.execFileSync('echo', ['hi']).toString().trim());
  const r = await Promise.all([1000, 2000, 3000].map(n => new Promise((ok, no) => { const w = new Worker(__filename, { workerData: n }); w.on('message', ok); w.on('error', no); }))); console.log('workers', r);
  await fs.promises.writeFile('x', 'y'.repeat(100000)); console.log('file', (await fs.promises.stat('x')).size);
  const z = zlib.gzipSync(fs.readFileSync('x')); console.log('zlib', zlib.gunzipSync(z).length, crypto.createHash('sha256').update(z.subarray(10)).digest('hex').length);
  await new Promise(ok => setTimeout(ok, 20)); const c = cp.spawn('sh', ['-c', 'cat; exit 4']); c.stdin.end('piped'); let o = ''; c.stdout.on('data', d => o += d); c.on('close', code => { console.log('spawn', o, code); process.exitCode = 6; });
})();
J
node t.js
