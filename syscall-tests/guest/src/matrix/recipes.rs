//! One line a call that works; see [`super::values`] for the notation. `NAME:what` is a further way to make the call, from
//! which no wrong calls are derived; `~` marks a return value that differs between runs.

pub const RECIPES: &str = r#"
read F O16 16
read:pipe R O8 8
read:zero ZERO O8 8
read:eventfd E O8 8
read:eventfd_short E O8 7
read:eventfd_empty_then SFD O8 128
read:timerfd_idle TFD O8 8
read:inotify_idle I O8 64
read:directory D O8 64
write F "data 4
write:pipe W "data 4
write:full FULL "data 4
write:null NUL "data 4
write:eventfd E [3] 8
write:eventfd_max E [-1] 8
write:eventfd_short E [3] 4
write:readonly RO "data 4
open 'file 2 0
open:creat 'new 0x42 0o600
open:excl 'file 0xc2 0o600
open:trunc 'file 0x202 0
open:directory_of_file 'file 0x10000 0
open:dir_for_writing 'dir 1 0
open:nofollow_link 'link 0x20000 0
open:path_of_link 'link 0x220000 0
open:tmpfile '. 0x410002 0o600
open:tmpfile_readonly '. 0x410000 0o600
open:creat_directory 'newdir 0x10042 0o700
open:access_mode_3 'file 3 0
open:dangling_creat 'dangling 0x42 0o600
open:dangling_creat_excl 'dangling 0xc2 0o600
open:fifo_nonblock_write 'fifo 0x801 0
open:fifo_nonblock_read 'fifo 0x800 0
close F
stat 'file o144
fstat F o144
lstat 'link o144
poll [0x100000000] 0! 0!
poll:pipe_readable {R,1} 1 0
poll:pipe_writable {W,4} 1 0
poll:bad_fd {CLOSED,1} 1 0
poll:negative_fd {-5,1} 1 0
poll:file {F,5} 1 0
poll:too_many {R,1} 0x100000 0
lseek F 4 0
lseek:cur F 4 1
lseek:end F -4 2
lseek:before_start F -17 2
lseek:data F 0 3
lseek:hole F 0 4
lseek:data_past_end F 16 3
lseek:hole_past_end F 17 4
lseek:pipe R 0 1
mmap 0 4096 3 0x22! -1! 0
mmap:shared_file 0 4096 3 1 F 0
mmap:private_of_readonly 0 4096 3 2 RO 0
mmap:shared_write_of_readonly 0 4096 3 1 RO 0
mmap:writeonly 0 4096 1 1 WO 0
mmap:no_type 0 4096 3 0x20 -1 0
mmap:both_types 0 4096 3 0x23 -1 0
mmap:unaligned_fixed 0x10001 4096 3 0x32 -1 0
mmap:closed_fd 0 4096 3 2 CLOSED 0
mmap:pipe 0 4096 3 2 R 0
mmap:directory 0 4096 1 2 D 0
mmap:unaligned_offset 0 4096 1 2 F 1
mmap:noreplace_taken PAGE 4096 3 0x100022 -1 0
mmap:validate_unknown 0 4096 3 0x80003 F 0
mmap:32bit 0 4096 3 0x62 -1 0
mmap:path_only 0 4096 1 2 H 0
mmap:zero_dev 0 4096 3 2 ZERO 0
mmap:null_dev 0 4096 3 2 NUL 0
mmap:huge_length 0 0x7fffffffffff 3 0x22 -1 0
mmap:overflow 0 -1 3 0x22 -1 0
mmap:offset_overflow 0 8192 1 2 F 0x7ffffffffffff000
mprotect PAGE 4096! 1
mprotect:zero_length PAGE 0 1
mprotect:unaligned 0x10001 4096 1
mprotect:odd_length PAGE 100 1
mprotect:hole UNMAPPED 4096 1
mprotect:grows_both PAGE 4096 0x3000000
munmap PAGE 4096!
munmap:zero PAGE 0
munmap:unmapped UNMAPPED 4096
munmap:overflow PAGE -1
munmap:odd_length PAGE 1
brk 0
rt_sigaction 10 [0,0,0,0] O32 8
rt_sigaction:kill 9 [1,0,0,0] 0 8
rt_sigaction:query_kill 9 0 O32 8
rt_sigaction:stop 19 [1,0,0,0] 0 8
rt_sigaction:query 10 0 O32 8
rt_sigaction:ignore 10 [1,0,0,0] 0 8
rt_sigprocmask 0 [0x200] O8 8
rt_sigprocmask:query 7 0 O8 8
rt_sigprocmask:kill_is_dropped 2 [-1] 0 8
ioctl F 0x541b O4
ioctl:fionread_pipe R 0x541b O4
ioctl:fionread_socket S 0x541b O4
ioctl:fionbio F 0x5421 {1}
ioctl:fioclex F 0x5451 0
ioctl:winsize_of_pty PTY 0x5413 O8
ioctl:set_winsize PTY 0x5414 (24,80,0,0)
ioctl:winsize_of_file F 0x5413 O8
ioctl:termios_of_pty PTY 0x5401 O36
ioctl:termios_of_null NUL 0x5401 O36
ioctl:pty_number_ok PTY 0x80045430 o4
ioctl:pgrp_of_pty PTY 0x540f o4
ioctl:outq_of_pipe W 0x5411 O4
ioctl:unknown F 0xdead 0
ioctl:eventfd E 0x541b O4
ioctl:path_only H 0x541b O4
ioctl:figetbsz F 2 o4
ioctl:getflags_null NUL 0x80086601 o8
pread64 F O16 16 0
pread64:past_end F O16 16 100
pread64:middle F O16 16 10
pread64:pipe R O16 4 0
pwrite64 F "data 4 2
pwrite64:pipe W "data 4 0
pwrite64:append AP "data 4 0
readv F v16 1
readv:none F v16 0
readv:two F [PAGE,4,PAGE,100] 2
readv:too_many F v16 1025
readv:most F [PAGE,1] 1
writev F v16 1
writev:none F v16 0
writev:zero_lengths F [0,0,0,0] 2
writev:sum_overflows F [PAGE,0x7fffffffffffffff,PAGE,1] 2
access 'file 4
access:nothing 'file 0
access:execute 'file 1
access:dir_execute 'dir 1
pipe O8
select 0! 0 0 0 [0,0]
select:readable 8 [8] 0 0 [0,0]
select:closed_fd 700 [-1] 0 0 [0,0]
select:negative -1 0 0 0 [0,0]
select:bad_time 0 0 0 0 [0,-1]
select:big_usec 0 0 0 0 [0,1000001]
sched_yield
mremap PAGE 4096! 8192! 1 0
mremap:zero_new PAGE 4096 0 1 0
mremap:unaligned 0x10001 4096 4096 1 0
mremap:shrink PAGES 16384 4096 0 0
mremap:fixed_without_maymove PAGE 4096 4096 2 0
mremap:old_zero_private PAGE 0 4096 1 0
mremap:hole UNMAPPED 4096 8192 1 0
mremap:dontunmap PAGE 4096 4096 5 0
mremap:dontunmap_other_size PAGE 4096 8192 5 0
msync PAGE 4096! 4
msync:async_and_sync PAGE 4096 5
msync:hole UNMAPPED 4096 4
msync:zero PAGE 0 4
mincore PAGE 4096! o16
mincore:zero PAGE 0 o16
mincore:hole UNMAPPED 4096 o16
madvise PAGE 4096! 4
madvise:zero_length PAGE 0 4
madvise:hole UNMAPPED 4096 4
madvise:unaligned 0x10001 4096 4
madvise:shared_anonymous_remove PAGE 4096 9
~shmget 0 4096! 0x380!
shmget:missing 0x7e57c0de 4096 0
shmget:zero_size 0 0 0x380
shmget:huge 0 -1 0x380
shmat:missing 0x7fffffff 0 0
shmat SHM! 0 0
shmctl SHM 2 o256
shmctl:missing 0x7fffffff 2 o256
shmdt UNMAPPED
dup F
dup2 F 9
dup2:same F 3
dup2:over_limit F 20000
dup2:closed_same CLOSED 777
dup3 F 9 0
dup3:same F 3 0
dup3:cloexec F 9 0x80000
nanosleep [0,1000] o16
nanosleep:zero [0,0] 0
nanosleep:nsec_too_big [0,1000000000] 0
nanosleep:negative [-1,0] 0
nanosleep:negative_nsec [0,-1] 0
getitimer 0 O32
alarm 0!
alarm:set 100
setitimer 0 [0,0,0,0] O32
setitimer:bad_usec 0 [0,0,0,1000000] 0
setitimer:negative 0 [0,0,-1,0] 0
setitimer:null_new 0 0 O32
getpid
sendfile W F [0] 8
sendfile:to_file F RO 0 8
sendfile:from_pipe F R 0 4
sendfile:append AP RO 0 8
sendfile:negative_offset W F [-1] 8
socket 1 1 0
socket:bad_type 1 77 0
socket:bad_family 99 1 0
socket:bad_protocol 2 1 17
socket:unix_protocol 1 1 1
socket:unix_raw 1 3 0
socket:udp 2 2 0
socket:tcp6 10 1 0
socket:nonblock_cloexec 1 0x80801 0
connect U (1,0x6d2f,0x7369,0) 8
connect:refused U (1,0x6966,0x656c,0) 8
connect:short U (1) 1
connect:too_long U (1) 200
connect:wrong_family U (2,0,0,0,0,0,0,0) 16
connect:tcp_closed_port TCP (2,0x0100,0x007f,0x0100,0,0,0,0) 16
accept:not_listening U 0 0
accept S o128 {128}
sendto S "data 4 0x4000 0 0
sendto:unconnected U "data 4 0x4000 0 0
sendto:dgram_no_peer UDP "data 4 0 0 0
recvfrom S O8 8 0 o128 {128}
recvfrom:peek S O8 8 2 0 0
recvfrom:dontwait_empty U O8 8 0x40 0 0
recvfrom:oob S O8 8 1 0 0
sendmsg S [0,0,v4,1,0,0,0] 0x4000
recvmsg S [0,0,v4,1,0,0,0] 0
shutdown S 1
shutdown:unconnected U 2
shutdown:not_socket F 2
bind U (1,0x656e,0x7377,0x636f,0) 9
bind:exists U (1,0x6966,0x656c,0) 8
bind:short U (1) 1
bind:autobind U (1) 2
bind:tcp_other_address TCP (2,0,0x0201,0x0403,0,0,0,0) 16
bind:tcp_any_port TCP (2,0,0x007f,0x0100,0,0,0,0) 16
listen:unbound U 5
listen U 5
listen:tcp TCP 5
listen:udp UDP 5
getsockname S o128 {128}
getsockname:negative_length S o128 {-1}
getsockname:short_length S O4 {2}
getpeername S o128 {128}
getpeername:unconnected TCP o128 {128}
socketpair 1 1 0 o8
socketpair:inet 2 1 0 o8
socketpair:dgram 1 2 0 o8
socketpair:seqpacket 1 5 0 o8
socketpair:protocol_1 1 1 1 o8
setsockopt S 1 2 {1} 4
setsockopt:short S 1 2 {1} 3
setsockopt:unknown S 1 9999 {1} 4
setsockopt:wrong_level S 99 2 {1} 4
setsockopt:tcp_nodelay TCP 6 1 {1} 4
setsockopt:ip_tos UDP 0 1 {16} 4
getsockopt S 1 3 O4 {4}
getsockopt:error S 1 4 O4 {4}
getsockopt:acceptconn S 1 30 O4 {4}
getsockopt:domain TCP 1 39 O4 {4}
getsockopt:protocol UDP 1 38 O4 {4}
getsockopt:peercred_length S 1 17 o12 {12}
getsockopt:short S 1 3 O4 {2}
getsockopt:negative S 1 3 O4 {-1}
getsockopt:unknown S 1 9999 O4 {4}
getsockopt:tcp_nodelay TCP 6 1 O4 {4}
getsockopt:reuseaddr TCP 1 2 O4 {4}
getsockopt:linger TCP 1 13 O8 {8}
wait4 -1! o4 1 o144
wait4:int_min -0x80000000 o4 1 0
waitid 0 0! o128 5 o144
waitid:no_options 0 0 o128 1
waitid:pidfd_closed 3 CLOSED o128 5 0
kill ME! 0
kill:nobody 0x7ffffffe 0
uname o390
semget 0 1 0x380!
semget:missing 0x7e57c0de 1 0
semget:none 0 0 0x380
semop:missing 0x7fffffff (0,0,0) 1
semop:none 0x7fffffff (0,0,0) 0
semctl:missing 0x7fffffff 0 2 o256
msgget:missing 0x7e57c0de 0
msgsnd MSQ! [1,2] 8 0x800
msgrcv:missing 0x7fffffff o64 8 0 0x800
msgctl:missing 0x7fffffff 2 o256
fcntl F 1 0
fcntl:getfl F 3 0
fcntl:getfl_append AP 3 0
fcntl:getfl_path H 3 0
fcntl:getfl_pipe R 3 0
fcntl:setfl F 4 0x400
fcntl:dupfd F 0 10
fcntl:dupfd_negative F 0 -1
fcntl:dupfd_over F 0 100000
fcntl:dupfd_cloexec F 1030 10
fcntl:getlk F 5 (1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0)
fcntl:setlk F 6 (1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0)
fcntl:setlk_readonly RO 6 (1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0)
fcntl:setlk_bad_type F 6 (9,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0)
fcntl:setlk_bad_whence F 6 (1,9,0,0,0,0,0,0,0,0,0,0,0,0,0,0)
fcntl:setlk_pipe R 6 (0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0)
fcntl:ofd_setlk F 37 (1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0)
fcntl:ofd_setlk_pid F 37 (1,0,0,0,0,0,0,0,0,0,0,0,7,0,0,0)
fcntl:getown S 9 0
fcntl:getsig F 11 0
fcntl:setsig F 10 10
fcntl:setsig_bad F 10 65
fcntl:pipe_size R 1032 0
fcntl:set_pipe_size R 1031 8192
fcntl:set_pipe_size_zero R 1031 0
fcntl:pipe_size_of_file F 1032 0
fcntl:get_seals M 1034 0
fcntl:add_seals M 1033 2
fcntl:add_seals_unknown M 1033 0x1000
fcntl:seals_of_file F 1034 0
fcntl:getlease F 1025 0
fcntl:dupfd_query F 1027 3
fcntl:dupfd_query_other F 1027 0
flock F 2
flock:nothing F 0
flock:nonblock_only F 4
flock:read_and_write F 3
fsync F
fdatasync F
truncate 'file 4
truncate:grow 'file 100
truncate:negative 'file -1
ftruncate F 4
ftruncate:negative F -1
ftruncate:memfd M 8192
getdents D o4096 4096
getcwd o4096 4096
getcwd:one o16 1
getcwd:zero 0 0
chdir 'dir
fchdir D
rename 'file 'moved
rename:over_dir 'file 'dir
rename:dir_over_file 'dir 'file
rename:dir_over_empty 'empty 'dir
rename:into_itself 'dir 'dir/sub
rename:over_full 'empty 'dir
rename:same 'file 'file
mkdir 'made 0o755
mkdir:mode 'made 0o7777
mkdir:slash 'made/ 0o755
rmdir 'empty
creat 'made 0o644
link 'file 'linked
link:dir 'dir 'linked
link:symlink 'link 'linked
unlink 'file
symlink 'target 'made
readlink 'link O16 16
readlink:short 'link O16 2
readlink:zero 'link O16 0
readlink:negative 'link O16 -1
chmod 'file 0o600
fchmod F 0o600
chown 'file 1 2
fchown F 1 2
lchown 'link 1 2
umask 0o77
gettimeofday o16 o8
gettimeofday:nothing 0 0
getrlimit 7 o16
getrusage 0 o144
getrusage:children -1 o144
getrusage:thread 1 o144
sysinfo o112
~times o32
getuid
getgid
geteuid
getegid
setuid 0
setgid 0
setpgid 0 0
setpgid:nobody 0x7ffffffe 0
setpgid:negative 0 -1
getppid
getpgrp
setsid
setreuid 0 0
setregid 0 0
getgroups 0 o64
getgroups:some 16 o64
setgroups 1 {1}
setgroups:none 0 0
setgroups:too_many 65537 {1}
setresuid 0 0 0
setresgid 0 0 0
getresuid O4 O4 O4
getresgid O4 O4 O4
getpgid 0
getsid 0
setfsuid 0
setfsgid 0
capget {0x20080522,0} o24
capget:bad_version {0x1234,0} o24
capget:bad_version_probe {0x1234,0} 0
capget:version1 {0x19980330,0} o24
capget:negative_pid {0x20080522,-1} o24
capget:nobody {0x20080522,0x7ffffffe} o24
capset {0x20080522,0} {0,0,0,0,0,0}
capset:bad_version {0x1234,0} {0,0,0,0,0,0}
capset:more_than_permitted {0x20080522,0} {1,0,0,0,0,0}
capset:other_pid {0x20080522,1} {0,0,0,0,0,0}
rt_sigpending O8 8
rt_sigpending:short O8 4
rt_sigpending:too_long O8 9
rt_sigtimedwait [0x200] o128 [0,0] 8
rt_sigtimedwait:bad_time [0x200] o128 [0,1000000000] 8
rt_sigtimedwait:negative [0x200] o128 [-1,0] 8
rt_sigqueueinfo ME! 0 [0,0xffffffff,0,0,0,0,0,0,0,0,0,0,0,0,0,0]
rt_sigqueueinfo:positive_code 0x7ffffffe 10 [0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0]
sigaltstack [0,2,0] O24
sigaltstack:small [PAGE,0,1024] 0
sigaltstack:bad_flags [PAGE,4,16384] 0
sigaltstack:query 0 O24
utime 'file [1000,2000]
utime:now 'file 0
mknod 'made 0o100644 0
mknod:fifo 'made 0o10644 0
mknod:dir 'made 0o40755 0
mknod:socket 'made 0o140644 0
mknod:bad_type 'made 0o170000 0
mknod:exists 'file 0o100644 0
personality 0xffffffff
statfs 'file o120
fstatfs F o120
getpriority 0! 0!
getpriority:nobody 0 0x7ffffffe
setpriority 0! 0! 5
setpriority:clamped 0 0 100
sched_getparam 0 O4
sched_getscheduler 0
sched_setparam 0 {0}
sched_setparam:nonzero 0 {1}
sched_setscheduler 0 3 {0}
sched_setscheduler:fifo_zero 0 1 {0}
sched_setscheduler:other_one 0 0 {1}
sched_setscheduler:fifo_too_high 0 1 {100}
sched_get_priority_max 1
sched_get_priority_min 1
sched_rr_get_interval 0 o16
mlock PAGE 4096!
mlock:hole UNMAPPED 4096
mlock:zero PAGE 0
mlock2 PAGE 4096! 0
munlock PAGE 4096!
munlockall
mlockall:none 0
mlockall:unknown 8
mlockall:onfault_only 4
arch_prctl 0x1003! o8
arch_prctl:get_gs 0x1004 O8
arch_prctl:get_fs_null 0x1003 0
arch_prctl:set_gs_kernel 0x1001 KERNEL
arch_prctl:set_fs_noncanonical 0x1002 NONCANONICAL
arch_prctl:unknown 0x9999 0
prctl 15 "name 0 0 0
prctl:get_name 16 o16 0 0 0
prctl:get_dumpable 3 0 0 0 0
prctl:set_dumpable_2 4 2 0 0 0
prctl:set_dumpable_bad 4 3 0 0 0
prctl:set_pdeathsig 1 10 0 0 0
prctl:set_pdeathsig_bad 1 65 0 0 0
prctl:get_pdeathsig 2 O4 0 0 0
prctl:get_keepcaps 7 0 0 0 0
prctl:set_keepcaps_2 8 2 0 0 0
prctl:no_new_privs 38 1 0 0 0
prctl:no_new_privs_0 38 0 0 0 0
prctl:no_new_privs_extra 38 1 1 0 0
prctl:get_no_new_privs 39 0 0 0 0
prctl:capbset_read 23 0 0 0 0
prctl:capbset_read_bad 23 99 0 0 0
prctl:subreaper 36 1 0 0 0
prctl:get_subreaper 37 O4 0 0 0
prctl:get_timerslack 30 0 0 0 0
prctl:set_timerslack 29 1234 0 0 0
prctl:get_securebits 27 0 0 0 0
prctl:get_thp_disable 42 0 0 0 0
prctl:set_thp_disable 41 1 0 0 0
prctl:ambient_is_set 47 1 0 0 0
prctl:ambient_clear 47 4 0 0 0
prctl:get_tsc 25 O4 0 0 0
prctl:get_tid_address 40 o8 0 0 0
prctl:get_seccomp 21 0 0 0 0
prctl:unknown 9999 0 0 0 0
prctl:set_vma_bad 0x53564d41 1 0 0 0
prctl:set_vma_name 0x53564d41 0 PAGE 4096 "anon
setrlimit 7 [100,100]!
setrlimit:soft_over_hard 7 [200,100]
setrlimit:core_unlimited 4 [0,0]
sync
gettid
readahead F 0 16
fadvise64 F 0 0 0
fadvise64:pipe R 0 0 0
set_tid_address PAGE
~time O0
~time:null 0
sched_setaffinity 0 8 [3]
sched_setaffinity:none 0 8 [0]
sched_setaffinity:zero_size 0 0 [1]
sched_getaffinity 0 128 o128
sched_getaffinity:too_small 0 4 o128
sched_getaffinity:odd 0 129 o256
setxattr 'file "user.a "value 5 0
setxattr:no_namespace 'file "plain "value 5 0
setxattr:unknown_namespace 'file "what.a "value 5 0
setxattr:replace_missing 'file "user.a "value 5 2
setxattr:empty_value 'file "user.a 0 0 0
setxattr:too_large 'file "user.a o65540 65537 0
lsetxattr 'file "user.a "value 5 0
lsetxattr:symlink_user 'link "user.a "value 5 0
fsetxattr F "user.a "value 5 0
getxattr:missing 'file "user.a o64 64
getxattr 'file "user.a o64 64
lgetxattr 'file "user.a o64 64
fgetxattr F "user.a o64 64
listxattr 'file o64 64
llistxattr 'link o64 64
flistxattr F o64 64
removexattr 'file "user.a
lremovexattr 'file "user.a
fremovexattr F "user.a
futex PAGE 1! 1! 0 0 0
futex:wait_changed PAGE 0 1 0 0 0
futex:wait_times_out PAGE 0 0 [0,1000] 0 0
futex:wait_bad_time PAGE 0 0 [0,-1] 0 0
futex:unaligned 0x10001 1 1 0 0 0
futex:wait_unaligned 0x10001 0 0 0 0 0
futex:wait_unmapped UNMAPPED 0 0 [0,0] 0 0
futex:wake_bitset_zero PAGE 10 1 0 0 0
futex:unknown PAGE 99 1 0 0 0
futex:unlock_pi_not_held PAGE 7 0 0 0 0
futex:trylock_pi PAGE 8 0 0 0 0
futex:lock_pi_free PAGE 6 0 0 0 0
futex:fd PAGE 2 0 0 0 0
futex:wake_private PAGE 129 1 0 0 0
futex:wait_bitset_realtime PAGE 0x189 0 [0,0] 0 -1
epoll_create 1
epoll_create:zero 0
epoll_create:negative -1
epoll_create1 0
getdents64 D o4096 4096
getdents64:tiny D o16 1
timer_create 1 [0,0x100000000,0,0,0,0,0,0] o4
timer_create:null_event 1 0 o4
timer_create:bad_notify 1 [0,0x900000000,0,0,0,0,0,0] o4
timer_create:bad_signal 1 [0,0x0000000063,0,0,0,0,0,0] o4
timer_settime TIMER! 0 [0,0,0,0] o32
timer_settime:bad_nsec TIMER 0 [0,0,0,1000000000] 0
timer_settime:missing 999 0 [0,0,0,0] 0
timer_gettime TIMER! O32
timer_gettime:missing 999 O32
timer_getoverrun TIMER
timer_getoverrun:missing 999
timer_delete TIMER
timer_delete:missing 999
clock_gettime 1 o16
clock_getres 1 O16
clock_getres:null 1 0
clock_nanosleep 1 0 [0,1000] o16
clock_nanosleep:past 1 1 [0,0] 0
clock_nanosleep:bad_nsec 1 0 [0,1000000000] 0
clock_nanosleep:negative 1 0 [-1,0] 0
epoll_wait Q o120 8 0!
epoll_wait:zero_events Q o120 0 0
epoll_wait:too_many Q o120 0x10000000 0
epoll_ctl Q 1 R {1,0,0}
epoll_ctl:itself Q 1 3 {1,0,0}
epoll_ctl:missing_mod Q 3 R {1,0,0}
epoll_ctl:missing_del Q 2 R 0
epoll_ctl:file Q 1 F {1,0,0}
epoll_ctl:exclusive_with_oneshot Q 1 R {0x50000001,0,0}
tgkill ME! TID! 0
tgkill:nobody 0x7ffffffe 0x7ffffffe 0
tgkill:zero 0 0 0
tgkill:negative -1 -1 0
tkill TID! 0
tkill:zero 0 0
utimes 'file [1,2,3,4]
utimes:bad_usec 'file [1,1000000,3,4]
mq_open:missing "missing-queue 0 0 0
mq_open:slash "/slash 0x42 0o600 0
mq_unlink:missing "missing-queue
mq_timedsend MQ "data 4 1 0
mq_timedsend:too_long MQ "data 65 1 0
mq_timedsend:priority_too_high MQ "data 4 32768 0
mq_timedreceive MQ o64 64 o4 0
mq_timedreceive:short_buffer MQ o64 63 o4 0
mq_getsetattr MQ 0 O32
mq_getsetattr:bad_flags MQ [1] 0
mq_notify MQ 0
inotify_init1 0
inotify_init
inotify_add_watch I '. 0x100
inotify_add_watch:no_events I '. 0
inotify_add_watch:onlydir_file I 'file 0x1000100
inotify_rm_watch I 1
openat CWD 'file 2 0
openat:dirfd D 'inner 0 0
openat:absolute_ignores_dirfd -1 '/dev/null 0 0
mkdirat CWD 'made 0o755
mknodat CWD 'made 0o100644 0
fchownat CWD 'file 1 2 0
fchownat:empty_path F ' 1 2 0x1000
futimesat CWD 'file [1,2,3,4]
newfstatat CWD 'file o144 0
newfstatat:empty_path F ' o144 0x1000
newfstatat:empty_without_flag F ' o144 0
newfstatat:nofollow CWD 'link o144 0x100
unlinkat CWD 'file 0
unlinkat:removedir CWD 'empty 0x200
unlinkat:removedir_of_file CWD 'file 0x200
unlinkat:dir CWD 'empty 0
unlinkat:removedir_full CWD 'dir 0x200
unlinkat:removedir_dot CWD '. 0x200
renameat CWD 'file CWD 'moved
linkat CWD 'file CWD 'linked 0
linkat:follow CWD 'link CWD 'linked 0x400
linkat:empty_path F ' CWD 'linked 0x1000
symlinkat 'target CWD 'made
readlinkat CWD 'link O16 16
readlinkat:not_link CWD 'file O16 16
fchmodat CWD 'file 0o600
faccessat CWD 'file 4
faccessat2 CWD 'file 4 0
faccessat2:eaccess CWD 'file 6 0x200
faccessat2:bad_mode CWD 'file 8 0
fchmodat2 CWD 'file 0o600 0
fchmodat2:symlink CWD 'link 0o600 0x100
fchmodat2:empty_path F ' 0o600 0x1000
pselect6 0! 0 0 0 [0,0] 0
pselect6:bad_size 0 0 0 0 [0,0] [PAGE,4]
pselect6:bad_nsec 0 0 0 0 [0,1000000000] 0
ppoll 0 0! [0,0]! 0 8
ppoll:bad_sigset_size 0 0 [0,0] PAGE 4
ppoll:bad_nsec 0 0 [0,1000000000] 0 8
set_robust_list PAGE 24
get_robust_list 0 o8 o8
get_robust_list:nobody 0x7ffffffe o8 o8
splice R 0 F [0] 4 0
splice:no_pipe F 0 F 0 4 0
splice:pipe_offset R [0] F 0 4 0
splice:to_pipe F [0] W 0 4 0
tee R W 4 0
tee:file F W 4 0
sync_file_range F 0 16 2
sync_file_range:pipe R 0 16 2
sync_file_range:negative F -1 16 2
vmsplice W v4 1 0
vmsplice:file F v4 1 0
utimensat CWD 'file [1,2,3,4] 0
utimensat:now CWD 'file [0,0x3fffffff,0,0x3fffffff] 0
utimensat:omit CWD 'file [0,0x3ffffffe,0,0x3ffffffe] 0
utimensat:omit_missing CWD 'missing [0,0x3ffffffe,0,0x3ffffffe] 0
utimensat:bad_nsec CWD 'file [0,1000000000,0,0] 0
utimensat:null_path F 0 [1,2,3,4] 0
epoll_pwait Q o120 8 0! 0 8
epoll_pwait:bad_sigset_size Q o120 8 0 PAGE 4
epoll_pwait2 Q o120 8 [0,0] 0 8
epoll_pwait2:bad_nsec Q o120 8 [0,1000000000] 0 8
signalfd -1 [0x200] 8
signalfd4 -1 [0x200] 8 0
signalfd4:bad_size -1 [0x200] 4 0
signalfd4:not_signalfd F [0x200] 8 0
timerfd_create 1 0
timerfd_settime TFD 0 [0,0,0,0] O32
timerfd_settime:bad_nsec TFD 0 [0,0,0,1000000000] 0
timerfd_settime:negative TFD 0 [0,0,-1,0] 0
timerfd_gettime TFD O32
eventfd 0
eventfd2 0 0
fallocate F 0 0 4096
fallocate:zero_length F 0 0 0
fallocate:negative F 0 -1 10
fallocate:punch_without_keep F 2 0 10
fallocate:overflow F 0 0x7fffffffffffffff 10
fallocate:keep_size F 1 100 4096
accept4:not_listening U 0 0 0
accept4:bad_flags U 0 0 1
pipe2 O8 0
pipe2:direct O8 0x4000
preadv F v16 1 0 0
preadv:negative F v16 1 -1 0
pwritev F v16 1 0 0
preadv2 F v16 1 0 0 0
preadv2:current F v16 1 -1 0 0
preadv2:nowait F v16 1 0 0 8
pwritev2 F v16 1 0 0 0
pwritev2:append F v16 1 0 0 16
rt_tgsigqueueinfo ME! TID! 0 [0,0xffffffff,0,0,0,0,0,0,0,0,0,0,0,0,0,0]
recvmmsg S [0,0,v4,1,0,0,0,0] 1 0x40 0
recvmmsg:bad_time S [0,0,v4,1,0,0,0,0] 1 0x40 [0,-1]
sendmmsg S [0,0,v4,1,0,0,0,0] 1 0x4000
prlimit64 0 7 0 o16
prlimit64:set 0 7 [100,100] o16
prlimit64:nobody 0x7ffffffe 7 0 o16
name_to_handle_at:small CWD 'file {0,0} o4 0
name_to_handle_at:too_big CWD 'file {129,0} o4 0
syncfs F
getcpu o4 o4 0
process_vm_readv ME v16 1 [PAGE,16] 1 0
process_vm_readv:flags ME v16 1 [PAGE,16] 1 1
process_vm_readv:bad_remote ME v16 1 [0x10,16] 1 0
process_vm_readv:half_remote ME v16 1 [@8:"12345678,16] 1 0
process_vm_writev ME v16 1 [PAGE,16] 1 0
process_vm_writev:readonly_remote ME v16 1 [READONLY,16] 1 0
kcmp ME ME 0 0! 0!
kcmp:vm ME ME 1 0 0
kcmp:closed_fd ME ME 0 CLOSED CLOSED
kcmp:bad_type ME ME 99 0 0
sched_getattr 0 O56 56 0
sched_getattr:small 0 O56 40 0
sched_getattr:flags 0 O56 56 1
sched_setattr 0 {48,0,0,0,0,0,0,0,0,0,0,0} 0
sched_setattr:bad_size 0 {47,0,0,0,0,0,0,0,0,0,0,0} 0
sched_setattr:unknown_flags 0 {48,0,0x100,0,0,0,0,0,0,0,0,0} 0
renameat2 CWD 'file CWD 'moved 0
renameat2:noreplace CWD 'file CWD 'dir 1
renameat2:exchange CWD 'file CWD 'dir 2
renameat2:exchange_missing CWD 'file CWD 'missing 2
renameat2:noreplace_and_exchange CWD 'file CWD 'dir 3
seccomp:notif_sizes 3 0 O6
seccomp:action_avail 2 0 {0x7fff0000}
seccomp:action_unknown 2 0 {0x12340000}
seccomp:unknown_operation 99 0 0
seccomp:strict_with_flags 0 1 0
getrandom o64 64 0
getrandom:random_and_insecure o64 64 6
getrandom:nothing 0 0 0
memfd_create "name 0
memfd_create:longest "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn 0
membarrier 0! 0 0
copy_file_range F [0] WO [8] 8 0
copy_file_range:overlap F [0] F [4] 8 0
copy_file_range:pipe R 0 F 0 4 0
copy_file_range:append F [0] AP 0 4 0
copy_file_range:flags F [0] WO [8] 8 1
copy_file_range:directory D 0 F 0 4 0
copy_file_range:past_end F [100] WO [8] 8 0
statx CWD 'file 0 0xfff o256
statx:reserved_mask CWD 'file 0 0x80000000 o256
statx:empty_path F ' 0x1000 0xfff o256
statx:null_path F 0 0x1000 0xfff o256
statx:sync_both CWD 'file 0x6000 0xfff o256
rseq:bad_size PAGE 31 0 0x53053053
rseq:unaligned 0x10001 32 0 0x53053053
rseq:bad_flags PAGE 32 2 0x53053053
pidfd_open ME! 0
pidfd_open:nobody 0x7ffffffe 0
pidfd_open:zero 0 0
pidfd_open:negative -1 0
pidfd_send_signal PFD 0 0 0
pidfd_send_signal:flags PFD 0 0 0x80
pidfd_getfd PFD 0 0!
pidfd_getfd:closed PFD 777 0
pidfd_getfd:flags PFD 0 1
close_range 500! 600! 0
close_range:reversed 600 500 0
close_range:cloexec 500 600 4
openat2 CWD 'file [2,0,0] 24
openat2:short CWD 'file [2,0,0] 23
openat2:longer_zero CWD 'file [2,0,0,0] 32
openat2:longer_set CWD 'file [2,0,0,1] 32
openat2:unknown_flag CWD 'file [0x40000000,0,0] 24
openat2:mode_without_creat CWD 'file [0,0o644,0] 24
openat2:mode_bits CWD 'new [0x42,0o10644,0] 24
openat2:unknown_resolve CWD 'file [0,0,0x1000] 24
openat2:no_symlinks CWD 'link [0,0,4] 24
openat2:no_symlinks_parent CWD 'dirlink/inner [0,0,4] 24
openat2:beneath_up D '../file [0,0,8] 24
openat2:beneath D 'inner [0,0,8] 24
openat2:beneath_absolute D '/dev/null [0,0,8] 24
openat2:in_root_up D '../inner [0,0,16] 24
openat2:in_root_absolute D '/inner [0,0,16] 24
openat2:beneath_and_in_root D 'inner [0,0,24] 24
openat2:no_xdev CWD '/dev/null [0,0,1] 24
openat2:no_magiclinks CWD '/proc/self/exe [0,0,2] 24
openat2:cached CWD 'file [0,0,32] 24
openat2:cached_creat CWD 'file [0x40,0,32] 24
process_madvise PFD v16 1 21
process_madvise:bad_flags PFD v16 1 21 1
landlock_create_ruleset:bad_flags 0 0 8
memfd_secret:bad_flags 1
process_mrelease PFD 0
futex_waitv [0,PAGE,0x82] 1 0 [0,0] 1
futex_waitv:none 0 0 0 0 1
futex_waitv:too_many [0,PAGE,0x82] 129 0 0 1
futex_waitv:changed [7,PAGE,0x82] 1 0 0 1
futex_waitv:reserved [0,PAGE,0x100000082] 1 0 [0,0] 1
futex_wake PAGE 1! 1 2
futex_wake:size8 PAGE 1 1 0
futex_wait:changed PAGE 5 0xffffffff 2 0 1
futex_wait:timeout PAGE 0 0xffffffff 2 [0,0] 1
futex_wait:zero_mask PAGE 0 0 2 [0,0] 1
cachestat F [0,0] o40 0
mseal PAGE 4096! 0
mseal:unaligned 0x10001 4096 0
mseal:hole UNMAPPED 4096 0
mseal:flags PAGE 4096 1
getxattrat CWD 'file 0 "user.a [PAGE,64] 16
setxattrat CWD 'file 0 "user.a [PAGE,5] 16
listxattrat CWD 'file 0 o64 64
removexattrat CWD 'file 0 "user.a
restart_syscall
remap_file_pages PAGE 4096! 0 0 0
ioprio_get 1! 0!
ioprio_set 1! 0! 0
pkey_mprotect PAGE 4096! 1 -1!
pkey_free 5
clone3:too_small o88 63
clone3:null 0 88
clone3:too_big o88 8192
clone3:unknown_flag [0x8000000000,0,0,0,17,0,0,0,0,0,0] 88
clone3:signal_too_big [0,0,0,0,256,0,0,0,0,0,0] 88
clone3:stack_without_size [0,0,0,0,17,PAGE,0,0,0,0,0] 88
clone3:size_without_stack [0,0,0,0,17,0,4096,0,0,0,0] 88
clone3:thread_without_sighand [0x10000,0,0,0,0,0,0,0,0,0,0] 88
clone3:sighand_without_vm [0x800,0,0,0,0,0,0,0,0,0,0] 88
clone:thread_without_sighand 0x10000 0 0 0 0
clone:sighand_without_vm 0x800 0 0 0 0
clone:newns_and_fs 0x20200 0 0 0 0
unshare:unknown 0x1
unshare:nothing 0
unshare:files 0x400
unshare:fs 0x200
unshare:newuser_thread 0x10010000
setns:not_namespace F 0
setns:closed CLOSED 0
execve:missing 'missing [0] [0]
execve 'file [0] [0]
execve:dir 'dir [0] [0]
execveat CWD 'file [0] [0] 0
execveat:bad_flags CWD 'file [0] [0] 0x800
execveat:symlink_nofollow CWD 'link [0] [0] 0x100
io_setup:zero 0 [0]
io_setup:nonzero_context 1 [1]
io_destroy:bad 0x1234
io_submit:bad 0x1234 0 0
io_getevents:bad 0x1234 0 1 o64 0
io_cancel:bad 0x1234 PAGE o32
modify_ldt:bad 99 0 0
set_thread_area:bad {99,0,0,0}
ustat:bad 0 o32
sysfs:bad 99 0 0
get_mempolicy 0 0 0 0 0
get_mempolicy:bad_flags 0 0 0 0 64
set_mempolicy 0 0 0
set_mempolicy:bad_mode 99 0 0
mbind:bad_mode PAGE 4096 99 0 0 0
ptrace:nobody 16 0x7ffffffe 0 0
ptrace:not_traced 7 0x7ffffffe 0 0
ptrace:self_attach 16 ME 0 0
syslog:bad_type 99 0 0
syslog:size_negative 2 o16 -1
swapoff:missing 'missing
chroot:missing 'missing
chroot:file 'file
chroot 'dir
mount:missing_target "none 'missing "tmpfs 0 0
mount:missing_type "none 'dir "nosuchfs 0 0
mount:file_as_target "none 'file "tmpfs 0 0
umount2:not_mounted 'dir 0
umount2:missing 'missing 0
umount2:bad_flags 'dir 0x100
pivot_root:missing 'missing 'missing
pivot_root:file 'file 'file
reboot:bad_magic 0 0 0 0
sethostname:negative "x -1
sethostname:too_long "x 65
setdomainname:too_long "x 65
settimeofday:bad_usec [0,1000000] 0
clock_settime:monotonic 1 [0,0]
clock_settime:bad_nsec 0 [0,1000000000]
clock_settime:unknown 99 [0,0]
adjtimex:null 0
clock_adjtime:null 0 0
acct:missing 'missing
fanotify_init:bad_flags 0xffffffff 0
inotify_init1:bad 0xffffffff
userfaultfd:bad 0xffff
perf_event_open:null 0 0 -1 -1 0
bpf:bad_command 9999 o16 16
io_uring_setup:none 0 0
io_uring_enter:closed CLOSED 0 0 0 0 0
io_uring_register:closed CLOSED 0 0 0
open_tree:bad_flags CWD 'dir 0x2
fsopen:missing "nosuchfs 0
fsopen:bad_flags "tmpfs 2
fspick:bad_flags CWD 'dir 0x10
fsconfig:closed CLOSED 0 0 0 0
fsmount:closed CLOSED 0 0
move_mount:bad_flags CWD 'dir CWD 'empty 0x8000
mount_setattr:bad_size CWD 'dir 0 o32 8
mount_setattr:bad_flags CWD 'dir 0x1 [0,0,0,0] 32
name_to_handle_at:bad_flags CWD 'file {0,0} o4 0x1
statmount:null 0 0 0 0
listmount:null 0 0 0 0
lsm_list_modules:bad_flags o64 {64} 1
set_mempolicy_home_node:bad_flags PAGE 4096 0 1
map_shadow_stack:bad_flags 0 4096 2
futex_requeue:null 0 0 1 1
file_getattr:short CWD 'file o32 8 0
file_setattr:short CWD 'file o32 8 0
keyctl:bad 9999 0 0 0 0
quotactl_fd:closed CLOSED 0 0 0
kexec_load:bad_flags 0 0 0 0xffff
delete_module:missing "nosuchmodule 0x800
"#;

/// Calls that the kernel knows by number only.
pub const ABSENT: &str = "_sysctl create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg afs_syscall tuxcall security \
    lookup_dcookie epoll_ctl_old epoll_wait_old vserver uselib";
