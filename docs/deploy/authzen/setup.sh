#!/bin/sh
# Makes the users and policies of AuthZEN's certification scenario, with the aws CLI as it is set up
# for the cluster (AWS_ENDPOINT_URL, a region, the keys of the root or of an administrator).
set -eu
here=$(dirname "$0")
for user in alice bob records-service; do
    aws iam create-user --user-name "$user" >/dev/null
    aws iam put-user-policy --user-name "$user" --policy-name records --policy-document "file://$here/$user.json"
done
aws iam tag-user --user-name bob --tags Key=role,Value=admin
