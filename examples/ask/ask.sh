#!/bin/sh
# May a principal do this? Asks a node by curl, with the access key of the caller:
#
#   WRIT_ENDPOINT=http://127.0.0.1:8420 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... \
#     ./ask.sh arn:aws:iam::123456789012:user/alice s3:GetObject arn:aws:s3:::bucket/key
#
# It prints the decision, and exits 0 for allow alone. It needs curl 7.75 or later.
set -eu
principal=$1 action=$2 resource=$3

# The key goes to curl by a file descriptor, since whoever lists processes sees arguments.
answer=$(curl --silent --show-error --fail-with-body --max-time 10 \
  --aws-sigv4 aws:amz:us-east-1:writ --config - \
  --header 'Content-Type: application/json' \
  --data "$(printf '{"principal":"%s","action":"%s","resource":"%s"}' "$principal" "$action" "$resource")" \
  "$WRIT_ENDPOINT/v1/authorize" <<CONFIG
user = "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"
${AWS_SESSION_TOKEN:+header = "X-Amz-Security-Token: $AWS_SESSION_TOKEN"}
CONFIG
)
case $answer in
'{"decision":"allow",'*) echo allow ;;
*) echo "$answer" | sed 's/.*"decision":"\([a-zA-Z]*\)".*/\1/'; exit 1 ;;
esac
