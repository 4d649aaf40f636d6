/* SPDX-License-Identifier: Apache-2.0
 * DescribeCluster: nodes as clients may know them, and this principal's operations. */
#include "gateway/api/nodes.h"
#include "gateway/api/steps.h"
#include "gateway/request/request.h"
#include "wire/describe_cluster.h"

enum step describe_cluster_finish(struct request *r)
{
    const struct describe_cluster_request *req = r->body;
    struct describe_cluster_response *resp = r->response;
    int32_t kept = 0;

    for (int32_t i = 0; i < resp->brokers.n; i++) {
        struct describe_cluster_response_describe_cluster_broker *b = &resp->brokers.v[i];
        b->port = node_rewrite(r, b->broker_id, &b->host, b->port);
        if (b->port >= 0)
            resp->brokers.v[kept++] = *b;
    }
    resp->brokers.n = kept;
    resp->cluster_authorized_operations = OPERATIONS_ABSENT;
    if (req->include_cluster_authorized_operations)
        resp->cluster_authorized_operations =
            request_sees_cluster(r, ACL_DESCRIBE) ? request_operations(r, ACL_CLUSTER, slice_str(ACL_CLUSTER_NAME)) : 0;
    return STEP_NEXT;
}
