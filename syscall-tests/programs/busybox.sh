# static busybox as a shell and as tools
cat > s <<'S'
for i in 1 2 3; do echo "line $i"; done | busybox sort -r
busybox seq 1 20 | busybox awk '{ s += $1 } END { print s }'
busybox printf 'b\na\nc\n' > f; busybox sort f | busybox md5sum
(exit 4); echo "status $?"
x=$(busybox echo sub | busybox tr a-z A-Z); echo "$x"
busybox find . -type f | busybox sort
busybox ls -l f | busybox cut -c1-10
busybox sleep 0.05 & wait; echo done
S
busybox sh s; echo "exit $?"
