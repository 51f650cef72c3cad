# git: init, add, commit, log, branches, clone of a local repository, gc
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_GLOBAL=/dev/null HOME=$PWD
git init -q -b main r && cd r; for i in 1 2 3; do echo "content $i" > f$i; git add f$i; git commit -q -m "commit $i"; done
git log --format='%H %s'; git checkout -q -b side HEAD~1; echo side > s; git add s; git commit -q -m side; git checkout -q main; git merge -q --no-edit side; git log --oneline --graph | cat; git status --short; echo x >> f1; git diff | cat; git stash -q; git stash list
cd ..; git clone -q r c && cd c && git log --oneline | wc -l && ls; git gc -q && git fsck && git count-objects -v | grep -E 'in-pack|packs'; git grep -n content | cat; git mv f1 f9 && git commit -q -am mv && git show --stat --format=%s | cat
