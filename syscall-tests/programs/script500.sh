# a shell script with 500 short commands runs to the end
i=0; while [ $i -lt 100 ]; do i=$((i + 1)); /bin/true; x=$(/bin/echo $i); /bin/test "$x" = $i || echo bad; /bin/echo $i | /bin/cat > /dev/null; done; echo "$i $x"
