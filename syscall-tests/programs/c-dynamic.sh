# a dynamic C program: threads, locks, signals, dlopen, longjmp
cat > a.c <<'C'
#define _GNU_SOURCE
#include <stdio.h>
#include <pthread.h>
#include <signal.h>
#include <setjmp.h>
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; static pthread_cond_t c = PTHREAD_COND_INITIALIZER; static long total; static int ready;
static void *worker(void *a) { for (int i = 0; i < 20000; i++) { pthread_mutex_lock(&m); total += (long)a; pthread_mutex_unlock(&m); } pthread_mutex_lock(&m); ready++; pthread_cond_signal(&c); pthread_mutex_unlock(&m); return a; }
static sigjmp_buf env; static void on_segv(int s, siginfo_t *i, void *u) { printf("signal %d at %p code %d\n", s, i->si_addr, i->si_code); siglongjmp(env, 1); }
static volatile int alarms; static void on_alarm(int s) { alarms++; }
static __thread int tls = 5;
int main(void) {
  pthread_t t[4]; for (long i = 0; i < 4; i++) pthread_create(&t[i], 0, worker, (void *)(i + 1));
  pthread_mutex_lock(&m); while (ready < 4) pthread_cond_wait(&c, &m); pthread_mutex_unlock(&m);
  for (int i = 0; i < 4; i++) { void *r; pthread_join(t[i], &r); printf("thread %d returned %ld\n", i, (long)r); }
  printf("total %ld tls %d\n", total, tls);
  struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO}; sigaction(SIGSEGV, &sa, 0); sigaction(SIGFPE, &sa, 0);
  if (!sigsetjmp(env, 1)) *(volatile int *)0x1234 = 1;
  signal(SIGALRM, on_alarm); alarm(1); pause(); printf("alarms %d\n", alarms);
  void *h = dlopen("libm.so.6", RTLD_NOW); double (*f)(double) = (double (*)(double))dlsym(h, "cos"); printf("cos %.6f\n", f(1.0));
  fflush(stdout);
  pid_t p = fork(); if (!p) { raise(SIGTERM); } int st; waitpid(p, &st, 0); printf("child: signaled %d by %d\n", WIFSIGNALED(st), WTERMSIG(st));
  p = fork(); if (!p) _exit(9); waitpid(p, &st, 0); printf("child: exited %d\n", WEXITSTATUS(st));
  return 3;
}
C
gcc -O1 -o a a.c -lpthread -ldl && ./a
