# a Go program with goroutines, channels, os/exec, files, signals
export GOCACHE=$PWD/cache GOFLAGS=-mod=mod GO111MODULE=off HOME=$PWD GOPATH=$PWD/gopath
cat > t.go <<'G'
package main
import ("fmt"; "os"; "os/exec"; "os/signal"; "runtime"; "sync"; "syscall"; "time")
func main() {
	var wg sync.WaitGroup; var mu sync.Mutex; total := 0; ch := make(chan int, 10)
	for i := 0; i < 50; i++ { wg.Add(1); go func(n int) { defer wg.Done(); s := 0; for j := 0; j < 10000; j++ { s += j % (n + 1) }; mu.Lock(); total += s; mu.Unlock(); ch <- n }(i) }
	go func() { wg.Wait(); close(ch) }(); c := 0; for range ch { c++ }; fmt.Println("goroutines", c, total)
	out, err := exec.Command("echo", "from exec").Output(); fmt.Print(string(out), err, "\n")
	err = exec.Command("sh", "-c", "exit 3").Run(); fmt.Println(err)
	os.WriteFile("f", make([]byte, 12345), 0600); st, _ := os.Stat("f"); fmt.Println(st.Size(), st.Mode())
	s := make(chan os.Signal, 1); signal.Notify(s, syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR1); fmt.Println(<-s)
	select { case <-time.After(20 * time.Millisecond): fmt.Println("timer") }
	runtime.GC(); x := make([][]byte, 0); for i := 0; i < 200; i++ { x = append(x, make([]byte, 100000)) }; fmt.Println(len(x)); defer func() { fmt.Println(recover()); os.Exit(8) }(); var p *int; *p = 1
}
G
go build -o t t.go && ./t
