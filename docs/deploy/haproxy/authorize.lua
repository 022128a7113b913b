-- Asks a node of Writ whether a request may go on, and notes the answer in txn.writ_status,
-- txn.writ_principal and txn.writ_reason. Whatever fails is 503.
local node = "http://127.0.0.1:8442/auth"

-- Headers of the client that the node may see, besides those that this proxy makes.
local handed_on = { "authorization" }

core.register_action("writ", { "http-req" }, function(txn)
    txn:set_var("txn.writ_status", "503")
    local headers = {
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-uri"] = { txn.f:pathq() },
        ["x-forwarded-for"] = { txn.f:src() },
        ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
    }
    local came = txn.http:req_get_headers()
    -- All values, so that the node refuses what is there twice. HAProxy counts them from 0.
    local function copy(from, to)
        local list = came[from]
        if list then
            headers[to] = {}
            for i = 0, #list do
                table.insert(headers[to], list[i])
            end
        end
    end
    copy("host", "x-forwarded-host")
    for _, name in ipairs(handed_on) do
        copy(name, name)
    end
    local answer = core.httpclient():get { url = node, headers = headers, timeout = 5000 }
    if not answer or not answer.status then
        return
    end
    local function of(name)
        local list = answer.headers and answer.headers[name]
        return list and list[0] or ""
    end
    txn:set_var("txn.writ_principal", of("x-writ-principal"))
    txn:set_var("txn.writ_reason", of("x-writ-reason"))
    if answer.status ~= 200 or of("x-writ-principal") ~= "" then
        txn:set_var("txn.writ_status", tostring(answer.status))
    end
end, 0)
