# bash: pipelines, subshells, here-documents, traps, background jobs, process substitution
echo one two three | tr ' ' '\n' | sort | while read -r w; do echo "<$w>"; done
(cd / && pwd; exit 3); echo "subshell $?"
cat <<EOF
here $((6 * 7)) $(echo nested)
EOF
cat <<< "here string"
trap 'echo trapped USR1' USR1; kill -USR1 $$; trap - USR1
trap 'echo bye' EXIT
for i in 1 2 3; do (sleep 0.$((i * 3)); echo "job $i") & done; wait
diff <(printf 'a\nb\n') <(printf 'a\nc\n'); echo "diff $?"
f() { local x=$1; [ "$x" -le 1 ] && { echo 1; return; }; echo $((x * $(f $((x - 1))))); }; f 6
arr=(a b c); echo "${arr[@]:1}" "${#arr[@]}"; declare -A m=([k]=v); echo "${m[k]}"
set -o pipefail; false | true; echo "pipefail $?"
exec 3> fd3; echo to-three >&3; exec 3>&-; cat fd3
read -r -t 0.1 x < <(sleep 1); echo "timeout status $((  $? > 128 ))"
echo *; mkdir -p d/e; touch d/e/{x,y}.txt; echo d/e/*.txt
printf '%s\n' {1..5} | tail -2; ( ulimit -n 64; ulimit -n ); coproc cat; echo ping >&"${COPROC[1]}"; read -r r <&"${COPROC[0]}"; echo "$r"; kill "$COPROC_PID"; wait 2>/dev/null
{ bash -c 'kill -9 $$'; } 2>/dev/null; echo "killed $?"; bash -c 'exit 300'; echo "exit $?"
