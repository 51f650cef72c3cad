# tar with gzip, xz, zstd
mkdir d; for i in $(seq 1 40); do seq 1 $((i * 50)) > d/f$i; done; ln -s f1 d/l; chmod 600 d/f2
for z in gzip xz zstd; do tar --sort=name --mtime=@0 --owner=0 --group=0 -c -f a.tar.$z --use-compress-program=$z d; mkdir x; tar -x -f a.tar.$z -C x; diff -r d x/d && echo "$z same"; stat -c %a x/d/f2; rm -r x; done
tar -t -f a.tar.gzip | sort | md5sum; zcat a.tar.gzip | md5sum; xzcat a.tar.xz | md5sum; zstdcat a.tar.zstd | md5sum
