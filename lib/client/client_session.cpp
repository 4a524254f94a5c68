// C6: the session of a client, by which it learns what became of the sends of its earlier connections.
#include "client/client_impl.h"

namespace vsync {

namespace pb = control::v1;

void Client::Impl::send_session() {
  session_.opening = true;
  pb::Request request;
  request.set_id(session_.request = new_request());
  request.mutable_session()->set_session(session_.id);
  request.mutable_session()->set_first(outbox_.first_of_connection());
  socket_.append(request);
}

/// C6. What became of the sends of earlier connections; then those of this one may go.
void Client::Impl::end_doubts(const pb::SessionReply& session) {
  session_.opening = false;
  session_.request = 0;
  const auto fates = outbox_.resolve(session);
  outbox_.moved(socket_.appended_total());
  socket_.append_raw(held_.take_output());
  for (const Sent& fate : fates) {
    sent(fate);
  }
}

void Client::Impl::session_refused(const std::string& code) {
  session_.request = 0;
  const bool left = code == "not_member";  // the daemon has left its cluster, and may join again
  if (code == "busy" || code == "excluded" || code == "shutting_down" || (left && outbox_.in_doubt())) {
    retry_later();  // its last connection is not over yet, or the daemon is in no view
    return;
  }
  session_.id = 0;       // a daemon without sessions …
  sent_before_ = !left;  // … or without any now: the next send asks again
  end_doubts({});
}

}  // namespace vsync
