# a static program on musl
cat > a.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <spawn.h>
extern char **environ;
static void *f(void *p) { int *n = p; for (int i = 0; i < 1000; i++) __atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST); return 0; }
int main(void) { int n = 0; pthread_t t[8]; for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, f, &n); for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
  printf("n=%d\n", n); fflush(stdout); pid_t p; char *a[] = {"echo", "spawned", 0}; posix_spawnp(&p, "echo", 0, 0, a, environ); int st; waitpid(p, &st, 0); printf("st=%d\n", st); return system("exit 5") >> 8; }
C
musl-gcc -static -O2 -o a a.c -lpthread && ./a
