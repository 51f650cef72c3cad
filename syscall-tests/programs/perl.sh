# perl
perl -e 'my %h; $h{$_ % 7} += $_ for 1..1000; print "$_ $h{$_}\n" for sort keys %h;'
perl -MPOSIX -MFile::Temp -e 'my $p = fork; if (!$p) { exit 7 } waitpid $p, 0; print $? >> 8, "\n"; open my $f, "-|", "echo from pipe" or die; print <$f>; close $f; local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; sleep 5 }; print $@; my $t = File::Temp->new(DIR => "."); print $t "x" x 1000; close $t; print -s "$t", "\n"; print POSIX::strftime("%F", gmtime 0), "\n"; $_ = `ls /etc/passwd`; print; kill "USR2", $$ if 0; print "done\n"'
