# a static C program: arguments, environment, files, exit status
cat > a.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) printf("arg %d: %s\n", i, argv[i]);
  printf("env: %s\n", getenv("GREETING"));
  FILE *f = fopen("out.txt", "w+"); fprintf(f, "%08d|%s\n", 42, "text"); rewind(f);
  char line[100]; fgets(line, sizeof line, f); printf("read back: %s", line); fclose(f);
  if (!fopen("/no/such/file", "r")) printf("errno: %s\n", strerror(errno));
  double x = 0; for (int i = 1; i < 1000; i++) x += 1.0 / i; printf("sum: %.12f\n", x);
  void *p = malloc(50 << 20); memset(p, 1, 50 << 20); printf("malloc ok: %d\n", p != 0); free(p);
  fprintf(stderr, "to stderr\n"); fflush(stdout); return 37;
}
C
gcc -O2 -static -o a a.c
GREETING="hello there" ./a one "two three" ''
