# gcc compiling and linking a project of several files under make -j2, then running it
for n in 1 2 3 4 5 6; do echo "int part$n(int x) { return x * $n; }" > p$n.c; done
{ echo '#include <stdio.h>'; for n in 1 2 3 4 5 6; do echo "int part$n(int);"; done; echo 'int main(void) { printf("%d\n", part1(1)+part2(1)+part3(1)+part4(1)+part5(1)+part6(1)); return 0; }'; } > main.c
printf 'O=$(patsubst %%.c,%%.o,$(sort $(wildcard *.c)))\nprog: $(O)\n\t@$(CC) -o $@ $^\n%%.o: %%.c\n\t@$(CC) -O2 -g -c -o $@ $<\nclean:\n\t@rm -f *.o prog\n' > Makefile
make -j2 && ./prog && make -j2 && size prog | tail -1 | awk '{print NF}'; touch p3.c; make; ./prog; make clean; ls; echo 'int main(void) { return x; }' > bad.c; gcc -c bad.c > log 2>&1; echo $?; head -3 log
