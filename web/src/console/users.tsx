// Who is connected.
import { count } from './format.ts'
import { useListing, usePrefix } from './listing.ts'
import { Empty, Loading, PageHead, ProblemBox, SearchField } from './parts.tsx'
import { goTo, href } from './route.ts'

interface UserInfo { readonly user: string; readonly sessions: number }

export function Users() {
  const [typed, setTyped, prefix] = usePrefix('users')
  const { rows, problem, retry, more } = useListing<UserInfo>('users', prefix, nameOf)
  return (
    <>
      <PageHead title="Users" about="Who has a session on this server now." />
      <SearchField label="Search users" placeholder="A name or its beginning" value={typed}
        onChange={setTyped} onSubmit={() => { if (typed) goTo(href('users', typed)) }} />
      {problem && <ProblemBox problem={problem} onRetry={retry} />}
      {!rows ? !problem && <Loading /> : rows.length === 0 ? (
        <Empty>
          {prefix ? (
            <>
              <p><b>No connected user’s name begins with <code>{prefix}</code>.</b></p>
              <p><a href={href('users', prefix)}>Open <code>{prefix}</code></a> all the same, to revoke their tokens.</p>
            </>
          ) : <p><b>Nobody is connected.</b></p>}
        </Empty>
      ) : (
        <table className="table numbers list">
          <thead><tr><th scope="col">User</th><th scope="col">Sessions</th></tr></thead>
          <tbody>
            {rows.map(({ user, sessions }) => (
              <tr key={user}>
                <th scope="row"><a className="name" dir="auto" href={href('users', user)}>{user}</a></th>
                <td>{count(sessions)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {more && <p className="more"><button className="button" onClick={more}>Show more</button></p>}
    </>
  )
}

const nameOf = ({ user }: UserInfo) => user
