# java running a small multi-threaded class
cat > T.java <<'J'
import java.nio.file.*; import java.util.*; import java.util.concurrent.*; import java.util.stream.*;
public class T { public static void main(String[] a) throws Exception {
  ExecutorService e = Executors.newFixedThreadPool(4); List<Future<Long>> f = new ArrayList<>(); for (int i = 0; i < 20; i++) { final int n = i; f.add(e.submit(() -> LongStream.range(0, 20000).map(x -> x * n).sum())); }
  long s = 0; for (Future<Long> x : f) s += x.get(); e.shutdown(); System.out.println("sum " + s);
  Files.writeString(Path.of("x"), "hello".repeat(1000)); System.out.println(Files.size(Path.of("x")));
  Process p = new ProcessBuilder("sh", "-c", "echo child; exit 3").start(); System.out.print(new String(p.getInputStream().readAllBytes())); System.out.println(p.waitFor());
  System.out.println(IntStream.range(0, 1000).parallel().map(x -> x * x).sum()); Thread t = new Thread(() -> { try { Thread.sleep(20); } catch (InterruptedException x) {} System.out.println("thread"); }); t.start(); t.join();
  try { int[] z = null; z[0] = 1; } catch (NullPointerException x) { System.out.println("npe"); } System.gc(); System.exit(4); } }
J
javac T.java && java -Xmx128m T
