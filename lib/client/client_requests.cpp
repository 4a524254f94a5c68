// Requests with replies.
#include <algorithm>

#include "client/client_impl.h"
#include "client/convert.h"

namespace vsync {

namespace pb = control::v1;

namespace {

pb::Wait to_proto(Wait wait) {
  switch (wait) {
    case Wait::all:
      return pb::ALL;
    case Wait::majority:
      return pb::MAJORITY;
    case Wait::first:
      return pb::FIRST;
  }
  return pb::ALL;
}

template <typename Message>
void set_content(Message& message, std::string_view content, bool text) {
  if (text) {
    message.set_text(content.data(), content.size());
  } else {
    message.set_payload(content.data(), content.size());
  }
}

Replies to_replies(const pb::RequestResult& result) {
  Replies made;
  made.fate = to_fate(result.outcome());
  made.code = result.code();
  made.view = result.view();
  made.position = result.position();
  made.complete = result.complete();
  for (const auto& reply : result.replies()) {
    made.replies.push_back({to_member(reply.member()), reply.has_text(), reply.has_text() ? reply.text() : reply.payload()});
  }
  for (const auto& missing : result.missing()) {
    made.missing.push_back({to_member(missing.member()), missing.reason()});
  }
  return made;
}

}  // namespace

Expected<Replies> Client::Impl::request(std::string_view group, std::string_view message, const RequestOptions& options,
                                        const Timeout& timeout) {
  const Milliseconds within = timeout.value_or(options_.timeout);
  if (auto there = connect(Clock::now() + within); !there) {
    return there.failure();
  }
  pb::Request request;
  auto& asked = *request.mutable_request();
  asked.set_group(group.data(), group.size());
  set_content(asked, message, options.text);
  asked.set_wait(to_proto(options.wait));
  asked.set_timeout_ms(static_cast<std::uint32_t>(std::max<Milliseconds::rep>(within.count(), 1)));
  if (options.to) {
    vsync::fill(*asked.mutable_to(), *options.to);
  }
  auto reply = ask(request, Clock::now() + within + options_.timeout);  // the daemon tells the end; we only wait for its word
  return reply ? Expected<Replies>(to_replies(reply->request())) : reply.failure();
}

Expected<Done> Client::Impl::reply(const GroupMember& asker, std::uint64_t number, std::string_view message, bool text) {
  if (!connected_) {
    return Failure{"disconnected", lost_why_};
  }
  if (message.size() > max_message_) {
    return Failure{"too_large", "a reply of " + std::to_string(message.size()) + " bytes"};
  }
  pb::Request request;
  request.set_id(new_request());
  auto& reply = *request.mutable_reply();
  vsync::fill(*reply.mutable_to(), asker);
  reply.set_request(number);
  set_content(reply, message, text);
  outbox_.close_batch(sink());
  sink().append(request);
  if (in_event_loop_) {
    watch_output();
  }
  return Done{};
}

}  // namespace vsync
