# coreutils, findutils, grep, sed, gawk
mkdir -p t/a t/b; printf 'alpha\nbeta\ngamma\n' > t/a/x; cp t/a/x t/b/y; ln -s ../a/x t/b/link; ln t/a/x t/a/hard
find t | sort; find t -type l -printf '%p -> %l\n'; find t -name x -exec wc -l {} +
stat -c '%n %s %F %h %a' t/a/x t/b/link; ls -la t/b | awk '$9 !~ /^\.+$/ {print $1, $2, $5, $9}' | tail -n +2 | sed 's/^\(l[rwx-]*\).*link.*/\1 link/'
grep -rn 'a$' t/a | sort; sed -i 's/beta/BETA/' t/b/y; cat t/b/y; gawk 'BEGIN { while (("echo cmd" | getline l) > 0) print l; print strftime("%Y", 0, 1) }'
seq 1 1000 | sort -R --random-source=/bin/ls | sort -n | md5sum; seq 1 100000 | sha256sum; dd if=/dev/zero bs=1k count=100 2>/dev/null | wc -c
chmod 640 t/a/x; stat -c %a t/a/hard; touch -d '2020-02-03 04:05:06 UTC' t/a/x; stat -c %Y t/a/x; mv t/a t/c; ls t; rm -r t/c; ls t
cp -a t t2; diff -r t t2 && echo same; du -s --apparent-size t/b/y | cut -f1; truncate -s 5 t/b/y; cat t/b/y; echo; head -c 3 /dev/zero | od -An -tx1
mkfifo p; (echo through fifo > p &) ; cat p; tee x1 x2 < t/b/y > /dev/null; cmp x1 x2 && echo tee; split -b 2 x1 part; ls part*; cat part* | cmp - x1 && echo split
printf '3\n1\n2\n' | sort | paste -sd, ; expr 3 + 4; date -u -d @86400 +%F; env -i A=b env; basename /a/b.c .c; realpath t/b/link; readlink t/b/link; timeout 0.1 sleep 5; echo "timeout $?"; nproc >/dev/null && id -u; xargs -n1 -P2 echo < <(seq 1 3) | sort; comm -12 <(seq 1 5) <(seq 3 8); test -w /etc/passwd; echo $?
