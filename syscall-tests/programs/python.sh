# python3: threads, subprocess, multiprocessing, mmap, asyncio without sockets, signals
cat > t.py <<'P'
import asyncio, mmap, multiprocessing, os, queue, signal, subprocess, sys, tempfile, threading, time
def threads():
    q = queue.Queue(); out = []
    def work():
        while (n := q.get()) is not None: out.append(n * n)
    ts = [threading.Thread(target=work) for _ in range(4)]; [t.start() for t in ts]; [q.put(n) for n in range(200)]; [q.put(None) for _ in ts]; [t.join() for t in ts]
    print("threads", sum(out), len(out))
def square(x): return x * x
def child(c): c.send({"pid_differs": os.getpid() != os.getppid(), "x": c.recv() * 2}); c.close()
if __name__ == "__main__":
    threads()
    print("subprocess", subprocess.run(["sh", "-c", "cat; exit 3"], input=b"in", capture_output=True))
    p = subprocess.Popen(["sleep", "10"]); p.terminate(); print("terminated", p.wait())
    try: subprocess.run(["sleep", "5"], timeout=0.1)
    except subprocess.TimeoutExpired: print("timeout")
    try: subprocess.run(["/no/such"])
    except FileNotFoundError as e: print(e)
    with multiprocessing.Pool(3) as pool: print("pool", pool.map(square, range(10)))
    a, b = multiprocessing.Pipe(); pr = multiprocessing.Process(target=child, args=(b,)); pr.start(); a.send(21); print("pipe", a.recv()); pr.join(); print(pr.exitcode)
    v = multiprocessing.Value("i", 0)
    with open("m", "w+b") as f:
        f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[4090:4100] = b"0123456789"; m.flush(); f.seek(4090); print("mmap", f.read(10)); m.close()
    m = mmap.mmap(-1, 4096)
    if os.fork() == 0: m[:5] = b"child"; os._exit(0)
    os.wait(); print("shared", m[:5])
    async def tick(n): await asyncio.sleep(0.01 * n); return n
    async def main():
        print("gather", await asyncio.gather(*(tick(n) for n in range(5))))
        p = await asyncio.create_subprocess_exec("echo", "async child", stdout=asyncio.subprocess.PIPE); print(await p.communicate())
    asyncio.run(main())
    signal.signal(signal.SIGALRM, lambda s, f: print("signal", s)); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2)
    r, w = os.pipe(); os.write(w, b"x" * 1000); print("os.pipe", len(os.read(r, 5000)))
    print(sorted(os.listdir("/proc/self/fd"))[:3], os.path.exists("/proc/self/exe"), os.readlink("/proc/self/cwd") == os.getcwd())
    with tempfile.TemporaryDirectory() as d: open(d + "/x", "w").write("y"); print(os.listdir(d))
    sys.exit(5)
P
python3 t.py
